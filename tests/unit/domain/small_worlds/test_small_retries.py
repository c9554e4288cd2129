"""Every order of a retry, a cancel, a release, a lost runner and a second manager keeps the promises."""

from __future__ import annotations

import pytest

from domain.task.aggregate import Task
from tests.unit.domain.small_worlds.exploring import explore
from tests.unit.domain.small_worlds.small_retries import AT, Act, RetryWorld


def test_every_order_keeps_the_promises() -> None:
    found = explore(RetryWorld(), limit=60_000)
    assert found.broken == {}
    assert found.states > 300
    assert found.resting > 0


class BlindAppends(RetryWorld):
    """An append that expects nothing: the decision made on an outdated task is stored."""

    def compares(self) -> bool:
        return False

    def retry(self, known: Task, attempt: int) -> Act:
        def act(task: Task) -> None:
            if known.next_attempt_at is not None:
                task.begin_blindly(at=AT)  # type: ignore[attr-defined]

        return act


class EveryFailure(RetryWorld):
    """Retries whatever has ended, against cancel, hold and release."""

    def due(self, task: Task, attempt: int) -> bool:
        return task.attempt == attempt and task.ended

    def retry(self, known: Task, attempt: int) -> Act:
        return lambda task: task.dispatch(None, at=AT, actor="retry")


class Asleep(RetryWorld):
    """Never sees that an attempt is due."""

    def due(self, task: Task, attempt: int) -> bool:
        return False


def _begin_blindly(task: Task, at: object) -> None:
    from domain.task.events import Dispatched

    assert task.dispatched is not None
    data = task.dispatched.model_copy(update={"attempt": task.attempt + 1, "by": "retry"})
    task.trigger_event(Dispatched, timestamp=at, actor="retry", data=data)


@pytest.mark.parametrize(
    ("world", "promise"),
    [
        (BlindAppends, "once"),
        (BlindAppends, "cancel"),
        (EveryFailure, "most"),
        (EveryFailure, "cancel"),
        (EveryFailure, "release"),
        (EveryFailure, "history"),
        (Asleep, "begins"),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, world: type[RetryWorld], promise: str
) -> None:
    monkeypatch.setattr(Task, "begin_blindly", _begin_blindly, raising=False)
    found = explore(world(), limit=60_000, until=promise)
    assert any(text.startswith(promise) for text in found.broken), found.broken
