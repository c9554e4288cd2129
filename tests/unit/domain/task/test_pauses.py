"""How far questions move a deadline."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from domain.task.pauses import Pauses, pause_seconds

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        ([], None),
        ([None, None], None),
        ([later(2.5), None], 2.5),
        ([later(9), later(3)], 3.0),
        ([later(-1)], 0.0),
    ],
)
def test_a_pause_ends_with_the_first_of_its_ends(ends: list[datetime | None], seconds: float | None) -> None:
    assert pause_seconds(AT, *ends) == seconds


def test_an_open_question_moves_the_deadline_to_its_expiry_or_away() -> None:
    assert Pauses(attempt=1, ended_seconds=4, open=False).most_seconds == 4
    assert Pauses(attempt=1, ended_seconds=4, open=True, open_at_most_seconds=3).most_seconds == 7
    assert Pauses(attempt=1, ended_seconds=4, open=True).most_seconds == math.inf
