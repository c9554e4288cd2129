"""Names of projections on the command line: the former ones stay for one release."""

from __future__ import annotations

import pytest
import typer

from infra.cli.commands.installation.servers import FORMER, Projection, parse_projection
from infra.runtime.processes import PROJECTIONS


def test_the_command_line_offers_what_a_projector_runs() -> None:
    assert tuple(Projection) == PROJECTIONS


@pytest.mark.parametrize(("former", "now"), [("tasks", "read-model"), ("sealer", "checkpoint-signer")])
def test_a_former_name_means_the_same(former: str, now: str) -> None:
    assert parse_projection(former) is parse_projection(now)


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(typer.BadParameter) as raised:
        parse_projection("task")
    assert all(name in raised.value.message for name in Projection)
    assert not any(former in raised.value.message.split("one of")[1] for former in FORMER)
