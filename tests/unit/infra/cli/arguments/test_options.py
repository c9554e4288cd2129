"""Values of options that cannot be meant are refused."""

from __future__ import annotations

import pytest
import typer

from domain.task.spec import MAX_TIMEOUT_SECONDS
from infra.cli.arguments import options
from infra.cli.output.durations import LONGEST_WAIT_SECONDS


@pytest.mark.parametrize("text", ["9" * 400, "31d", "2592001"])
def test_nothing_waits_longer_than_the_api_takes(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="at most 30d"):
        options.duration(text)
    assert options.duration("30d") == LONGEST_WAIT_SECONDS == MAX_TIMEOUT_SECONDS


@pytest.mark.parametrize("text", ["a:b=c", ":=c", "a:=c"])
def test_a_label_that_cannot_be_is_not_asked_for(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="cannot hold `:`"):
        options.labels([text], "--label")
    assert options.labels(["a=b:c=d"], "--label") == {"a": "b:c=d"}
