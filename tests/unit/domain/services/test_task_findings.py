"""TaskFindings: about an attempt that was seen in the log, or nothing."""

from __future__ import annotations

import pytest

from domain.errors import Busy
from domain.task.transitions import Status
from tests.unit.domain.samples import TASK_ID, dispatch
from tests.unit.domain.services.service_fakes import Harness, end_and_dispatch


async def test_findings_are_dropped_when_a_newer_attempt_came_in_between(dispatched: Harness) -> None:
    findings = dispatched.findings
    for call in (
        lambda attempt: findings.submit_failed(TASK_ID, attempt, "deadline", None, "dispatch"),
        lambda attempt: findings.accepted(TASK_ID, attempt, "r1"),
        lambda attempt: findings.runner_lost(TASK_ID, attempt, "gone", "watchdog"),
        lambda attempt: findings.lock_wait_over(TASK_ID, attempt, "held too long", "lock-wait"),
    ):
        attempt = dispatched.task.attempt
        dispatched.store.cache.clear()
        await dispatched.findings.read(TASK_ID)
        dispatched.elsewhere(end_and_dispatch)
        stored = await call(attempt)
        assert (stored.task.attempt, stored.task.status) == (attempt + 1, Status.DISPATCHED)
        assert not stored.recorded


SEEN = {
    "submit-failed": lambda findings: findings.submit_failed(TASK_ID, 1, "deadline", None, "dispatch"),
    "lock-wait-over": lambda findings: findings.lock_wait_over(TASK_ID, 1, "too long", "dispatch"),
    "runner-lost": lambda findings: findings.runner_lost(TASK_ID, 1, "gone", "watchdog"),
    "accepted": lambda findings: findings.accepted(TASK_ID, 1, "r1"),
    "read an attempt": lambda findings: findings.read(TASK_ID, attempt=1),
    "read a version": lambda findings: findings.read(TASK_ID, version=2),
}


@pytest.mark.parametrize("what", SEEN)
async def test_nothing_is_made_of_a_task_that_is_older_than_what_was_seen_of_it(
    harness: Harness, what: str
) -> None:
    """The caller acts on an event of attempt 1; a leader just elected says that there was none."""
    with pytest.raises(Busy) as busy:
        await SEEN[what](harness.findings)
    assert busy.value.code == "log-behind"
    harness.elsewhere(dispatch)  # it has applied it now
    assert (await SEEN[what](harness.findings)).task.attempt == 1
