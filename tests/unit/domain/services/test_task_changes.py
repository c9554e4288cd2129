"""TaskChanges: decided on what the leader has, and again after every conflict."""

from __future__ import annotations

import pytest

from domain.errors import Busy, Refused
from domain.ports.log import AppendConflict
from domain.services.task_changes import MAX_TRIES
from domain.task.transitions import Status
from tests.unit.domain.samples import TASK_ID, cancel, dispatch, report
from tests.unit.domain.services.service_fakes import Harness


async def test_after_a_conflict_it_is_decided_again(dispatched: Harness) -> None:
    dispatched.rival(lambda task: report(task, "queued"))
    stored = await dispatched.said("running")
    assert dispatched.names[-2:] == ["queued", "running"]
    assert (stored.task.status, stored.seq, stored.recorded) == (Status.RUNNING, 4, True)


async def test_a_decision_can_come_out_otherwise_the_second_time(dispatched: Harness) -> None:
    dispatched.rival(cancel)
    with pytest.raises(Refused) as refusal:
        await dispatched.said("running")
    assert refusal.value.code == "ended"
    assert dispatched.names == ["created", "dispatched", "canceled"]


async def test_conflicts_without_end_are_answered_busy(dispatched: Harness) -> None:
    def lost() -> None:
        raise AppendConflict

    dispatched.store.rivals = [lost] * (MAX_TRIES + 5)
    with pytest.raises(Busy):
        await dispatched.said("queued")
    assert len(dispatched.store.rivals) == 5
    assert dispatched.names == ["created", "dispatched"]


async def test_a_stale_cached_task_answers_no_refusal(dispatched: Harness) -> None:
    await dispatched.said("failed")
    dispatched.elsewhere(dispatch)
    assert (await dispatched.said("running", attempt=2)).task.status is Status.RUNNING


async def test_a_stale_cached_task_answers_no_stale(dispatched: Harness) -> None:
    await dispatched.said("running")
    dispatched.elsewhere(lambda task: report(task, "succeeded"))
    with pytest.raises(Refused) as refusal:
        await dispatched.said("running")
    assert refusal.value.code == "ended"


@pytest.mark.parametrize(("status", "asks"), [("queued", 1), ("running", 0)])
async def test_the_leader_is_asked_where_nothing_is_recorded(
    dispatched: Harness, status: str, asks: int
) -> None:
    await dispatched.said("queued")
    before = dispatched.store.confirmed
    stored = await dispatched.said(status)
    assert dispatched.store.confirmed - before == asks
    assert (stored.fresh, stored.recorded) == (True, status == "running")


async def test_a_refusal_is_confirmed_by_the_leader(dispatched: Harness) -> None:
    before = dispatched.store.confirmed
    with pytest.raises(Refused):
        await dispatched.said("running", attempt=2)
    assert dispatched.store.confirmed == before + 1


async def test_read_follows_the_leader(dispatched: Harness) -> None:
    dispatched.elsewhere(cancel)
    stored = await dispatched.commands.read(TASK_ID)
    assert (stored.task.status, stored.fresh) == (Status.CANCELED, True)


async def test_what_was_not_appended_is_never_read(dispatched: Harness) -> None:
    dispatched.store.unreachable = True
    with pytest.raises(Busy):
        await dispatched.said("running")
    dispatched.store.unreachable = False
    assert (await dispatched.commands.read(TASK_ID)).task.status is Status.DISPATCHED
    assert (await dispatched.said("queued")).recorded
    assert dispatched.names == ["created", "dispatched", "queued"]
