"""TaskReports: for one attempt only, and the lock view is asked only where it must be."""

from __future__ import annotations

import pytest

from domain.errors import Invalid, Refused
from domain.runners.attempt_token import Proof
from domain.task.transitions import Status
from tests.unit.domain.samples import TASK_ID, cancel, dispatch, report, submit_failed
from tests.unit.domain.services.service_fakes import Harness, end_and_dispatch


async def test_a_report_is_dropped_when_a_newer_attempt_came_in_between(dispatched: Harness) -> None:
    dispatched.rival(end_and_dispatch)
    with pytest.raises(Refused) as refusal:
        await dispatched.said("failed")
    assert refusal.value.code == "stale-attempt"
    assert (dispatched.task.attempt, dispatched.task.status) == (2, Status.DISPATCHED)


async def test_a_report_that_is_not_granted_asks_the_view_once(dispatched: Harness) -> None:
    assert (await dispatched.said("running")).task.status is Status.RUNNING
    assert dispatched.view.asked == [(TASK_ID, 1)]
    await dispatched.said("succeeded")
    assert dispatched.view.asked == [(TASK_ID, 1)]


async def test_a_report_before_the_grant_is_refused(dispatched: Harness) -> None:
    dispatched.view.tokens.clear()
    with pytest.raises(Refused) as refusal:
        await dispatched.said("running")
    assert refusal.value.code == "not-granted"
    assert len(dispatched.view.asked) == 1


async def test_an_attempt_token_proves_the_grant_and_names_the_attempt(dispatched: Harness) -> None:
    await dispatched.said("running", Proof(1, 41), attempt=None)
    assert dispatched.view.asked == []
    dispatched.elsewhere(lambda task: (report(task, "failed"), dispatch(task)))
    with pytest.raises(Refused) as refusal:
        await dispatched.said("succeeded", Proof(1, 41), attempt=None)
    assert refusal.value.code == "stale-attempt"


async def test_an_attempt_token_does_for_its_own_attempt_only(dispatched: Harness) -> None:
    with pytest.raises(Invalid) as refusal:
        await dispatched.said("running", Proof(2, 42))
    assert refusal.value.code == "wrong-token"


async def test_a_grant_of_an_attempt_says_nothing_about_the_next(dispatched: Harness) -> None:
    del dispatched.view.tokens[TASK_ID, 2]
    dispatched.elsewhere(end_and_dispatch)
    with pytest.raises(Refused) as refusal:
        await dispatched.said("running", attempt=2)
    assert refusal.value.code == "not-granted"


async def test_the_view_is_asked_only_where_the_grant_decides(dispatched: Harness) -> None:
    """Not for an attempt that is unknown, nor for one that has ended, whatever the view would answer."""
    for elsewhere, attempt, code in ((None, 2, "unknown-attempt"), (submit_failed, 1, "ended")):
        if elsewhere is not None:
            dispatched.elsewhere(elsewhere)
        with pytest.raises(Refused) as refusal:
            await dispatched.said("running", attempt=attempt)
        assert refusal.value.code == code
    assert dispatched.view.asked == []


async def test_what_a_grant_decides_is_decided_on_the_task_as_it_is_by_then(dispatched: Harness) -> None:
    async def canceled() -> None:
        dispatched.elsewhere(cancel)

    dispatched.view.while_waiting = canceled
    with pytest.raises(Refused) as refusal:
        await dispatched.said("running")
    assert refusal.value.code == "ended"
