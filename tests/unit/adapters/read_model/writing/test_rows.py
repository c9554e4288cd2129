"""Every event of a task or a lock has its change of a row: one without would end the read model's fold."""

from __future__ import annotations

from adapters.read_model.writing.rows import LOCK_FACTS, TASK_FACTS
from domain.log.events import EVENTS


def test_every_event_changes_a_row_or_says_that_it_does_not() -> None:
    assert {("task", "created"), *(("task", name) for name in TASK_FACTS)} == {
        key for key in EVENTS if key[0] == "task"
    }
    assert {("lock", name) for name in LOCK_FACTS} == {key for key in EVENTS if key[0] == "lock"}
