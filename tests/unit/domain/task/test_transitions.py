"""Every status with everything that can come, held against a transcription of the table by hand.

The transcription shares nothing with `domain.task.transitions`: a slip there shows here. It is walked
through the aggregate's methods, since the table alone would not show a method that overrides it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain.errors import Refused
from domain.task.aggregate import Task
from domain.task.transitions import TABLE, TERMINAL, Input, Record, Refuse, Stale, Status
from tests.unit.domain.samples import LATER, after, ask, cancel, dispatch, report, submit_failed, task_in

STALE = "stale"

# A row is read in the order of COLUMNS; `canceled` is the runner's report, `cancel` the operator's request.
# A word without mark is the event recorded; `409 code` is refused.
COLUMNS = (
    "dispatch", "queued", "running", "succeeded", "failed", "canceled", "cancel", "submit-failed",
    "ask", "answer", "stop-retries",
)  # fmt: skip
EXPECTED = {
    "created": (
        "dispatched",
        "409 not-dispatched", "409 not-dispatched", "409 not-dispatched", "409 not-dispatched",
        "409 not-dispatched", "canceled", "409 not-dispatched", "409 not-dispatched", "409 not-dispatched",
        STALE,
    ),
    "dispatched": (
        "409 already-dispatched",
        "queued", "running", "succeeded", "failed",
        "canceled", "canceled", "submit-failed", "409 not-running", "409 not-running", STALE,
    ),
    "queued": (
        "409 already-dispatched",
        STALE, "running", "succeeded", "failed",
        "canceled", "cancel-requested", STALE, "409 not-running", "409 not-running", STALE,
    ),
    "running": (
        "409 already-dispatched",
        STALE, STALE, "succeeded", "failed",
        "canceled", "cancel-requested", STALE, "asked", "answered", STALE,
    ),
    "failed": (
        "dispatched",
        STALE, "409 ended", "409 conflicting-end", STALE,
        "409 conflicting-end", "409 already-ended", "409 conflicting-end", "409 ended", "409 ended",
        "cancel-requested",
    ),
    "canceled": (
        "dispatched",
        STALE, "409 ended", "409 conflicting-end", "409 conflicting-end",
        STALE, STALE, "409 conflicting-end", "409 ended", "409 ended", STALE,
    ),
    "submit-failed": (
        "dispatched",
        STALE, "409 ended", "409 conflicting-end", "409 conflicting-end",
        "409 conflicting-end", "409 already-ended", STALE, "409 ended", "409 ended", "cancel-requested",
    ),
    "succeeded": (
        "409 already-succeeded",
        STALE, "409 ended", STALE, "409 conflicting-end",
        "409 conflicting-end", "409 already-ended", "409 conflicting-end", "409 ended", "409 ended",
        STALE,
    ),
}  # fmt: skip
CELLS = [
    (status, column, outcome)
    for status, row in EXPECTED.items()
    for column, outcome in zip(COLUMNS, row, strict=True)
]
BY_A_METHOD = [cell for cell in CELLS if cell[1] not in ("answer", "stop-retries")]
"""Without an open question or a retry the methods decide first: `test_question.py`, `test_retries.py`."""
STATUS_AFTER = {
    "dispatched": Status.DISPATCHED,
    "queued": Status.QUEUED,
    "running": Status.RUNNING,
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    "submit-failed": Status.SUBMIT_FAILED,
}


def _method(column: str) -> Callable[[Task], None]:
    """The aggregate's method behind a column."""
    if column == "dispatch":
        return dispatch
    if column == "cancel":
        return cancel
    if column == "submit-failed":
        return submit_failed
    if column == "ask":
        return ask
    return lambda task: report(task, column)


def test_the_transcription_is_complete() -> None:
    assert set(EXPECTED) == {status.value for status in Status}
    assert {*COLUMNS, "release"} == {given.value for given in Input}
    assert {status.value for status in TERMINAL} == {"succeeded", "failed", "canceled", "submit-failed"}


@pytest.mark.parametrize(("status", "column", "outcome"), CELLS)
def test_cell_of_the_table(status: str, column: str, outcome: str) -> None:
    cell = TABLE[Status(status)][Input(column)]
    if outcome == STALE:
        assert cell == Stale()
    elif outcome.startswith("409 "):
        assert cell == Refuse(outcome.removeprefix("409 "))
    else:
        assert cell == Record(outcome)


@pytest.mark.parametrize("workspace", ["acme-api", None])
@pytest.mark.parametrize(("status", "column", "outcome"), BY_A_METHOD)
def test_cell_through_the_aggregate(status: str, column: str, outcome: str, workspace: str | None) -> None:
    task = task_in(Status(status), workspace=workspace)
    attempt = task.attempt
    if outcome.startswith("409 ") and column != "submit-failed":
        with pytest.raises(Refused) as refusal:
            after(task, _method(column))
        assert refusal.value.code == outcome.removeprefix("409 ")
        return
    changed, triggered = after(task, _method(column))
    if outcome == STALE or outcome.startswith("409 "):
        assert triggered == []
        assert changed == task
        return
    assert triggered == [outcome]
    assert changed.version == task.version + 1
    assert changed.status is STATUS_AFTER.get(outcome, task.status)
    assert changed.attempt == (attempt + 1 if outcome == "dispatched" else attempt)


@pytest.mark.parametrize("status", list(EXPECTED))
def test_a_refusal_leaves_the_task_untouched(status: str) -> None:
    for column, outcome in zip(COLUMNS, EXPECTED[status], strict=True):
        if not outcome.startswith("409 ") or column in ("submit-failed", "answer", "stop-retries"):
            continue
        task, before = task_in(Status(status)), task_in(Status(status))
        with pytest.raises(Refused):
            _method(column)(task)
        assert task == before
        assert not task.pending_events


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("created", []),
        ("dispatched", ["canceled"]),
        ("queued", ["cancel-requested", "lock-release-requested"]),
        ("running", ["cancel-requested", "lock-release-requested"]),
        *((ended.value, []) for ended in sorted(TERMINAL)),
    ],
)
def test_release_by_hand(status: str, events: list[str]) -> None:
    task = task_in(Status(status))
    triggered: list[str] = []
    while True:
        task.request_release(task.attempt, 7, reason="stuck", at=LATER, actor="ann")
        names = [event.NAME for event in task.collect_events()]
        if not names:
            break
        assert len(names) == 1
        triggered += names
    assert triggered == events
