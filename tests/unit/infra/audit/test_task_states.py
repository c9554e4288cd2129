"""What the bounded memory of a verification relies on."""

from __future__ import annotations

from domain.evidence.history_rules import RECORDABLE
from domain.task.transitions import Status


def test_nothing_follows_a_task_that_succeeded_so_its_state_may_be_dropped() -> None:
    assert RECORDABLE[Status.SUCCEEDED] == frozenset()
