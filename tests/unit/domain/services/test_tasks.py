"""TaskService: decided on what the leader has, again after every conflict, for one attempt only."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import Busy, Invalid, NotFound, Refused
from domain.locks.capacity import MAX_OPEN_CLAIMS
from domain.locks.workspace_locks import OpenSize
from domain.ports.log import AppendConflict, StoredTask
from domain.protocol import Report
from domain.runners.attempt_token import Proof
from domain.services.tasks import MAX_TRIES, TaskService
from domain.task.aggregate import Task
from domain.task.spec import TaskSpec
from domain.task.transitions import Status
from tests.unit.domain.samples import TASK_ID, cancel, dispatch, report, submit_failed
from tests.unit.domain.services.service_fakes import MemoryTaskStore, Sealing, View, clock

SPEC = TaskSpec(command=["make"], workspace="acme-api", execution_mode="shared-workspace")


class Harness:
    """A service with one task, and what stands behind it."""

    def __init__(self) -> None:
        self.store, self.view = MemoryTaskStore(), View()
        self.service = TaskService(self.store, self.view, Sealing(), clock)

    @property
    def task(self) -> Task:
        return self.store.task(TASK_ID)

    @property
    def names(self) -> list[str]:
        return self.store.names(TASK_ID)

    async def said(self, status: str, proof: Proof | None = None, **fields: Any) -> StoredTask:
        given = Report(status=status, **{"attempt": 1, "runner_id": "r1", **fields})
        return await self.service.report(TASK_ID, given, proof, "http", "runner:r1")

    def elsewhere(self, change: Any) -> None:
        self.store.elsewhere(TASK_ID, change)

    def rival(self, change: Any) -> None:
        self.store.rival(TASK_ID, change)


@pytest.fixture
async def bench() -> Harness:
    """The task is created, and its next attempts are granted."""
    bench = Harness()
    await bench.service.create(TASK_ID, SPEC, "ann")
    bench.view.tokens = {(TASK_ID, attempt): 40 + attempt for attempt in (1, 2, 3)}
    return bench


@pytest.fixture
async def dispatched(bench: Harness) -> Harness:
    await bench.service.dispatch(TASK_ID, "ann")
    return bench


def end_and_dispatch(task: Task) -> None:
    """The current attempt ends and the next one begins."""
    submit_failed(task)
    dispatch(task)


# ---------------------------------------------------------------- create


async def test_create_is_idempotent() -> None:
    bench = Harness()
    first, new = await bench.service.create(TASK_ID, SPEC, "ann")
    again, anew = await bench.service.create(TASK_ID, SPEC, "bob")
    assert (new, anew) == (True, False)
    assert again.task.spec == first.task.spec
    assert bench.names == ["created"]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "other"},
        {"command": ["make", "x"]},
        {"lock_paths": ["src"]},
        {"pool": "gpu"},
        {"labels": {"a": "b"}},
    ],
)
async def test_the_same_id_with_other_content_is_refused(bench: Harness, change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        await bench.service.create(TASK_ID, SPEC.model_copy(update=change), "ann")
    assert refusal.value.code == "id-taken"
    assert bench.names == ["created"]


async def test_env_is_sealed_and_compared_by_its_values() -> None:
    bench = Harness()
    spec = SPEC.model_copy(update={"env": {"KEY": "secret"}})
    stored, _ = await bench.service.create(TASK_ID, spec, "ann")
    assert stored.task.spec.env == {"KEY": "1:secret"}
    assert (await bench.service.create(TASK_ID, spec, "ann"))[1] is False
    for env in ({}, {"KEY": "other"}, {"KEY": "secret", "MORE": "x"}):
        with pytest.raises(Refused):
            await bench.service.create(TASK_ID, spec.model_copy(update={"env": env}), "ann")


async def test_secrets_are_sealed_and_compared_by_their_values() -> None:
    bench = Harness()
    spec = SPEC.model_copy(update={"env": {"CC": "clang"}, "secrets": {"KEY": "s3cret"}})
    stored, _ = await bench.service.create(TASK_ID, spec, "ann")
    assert (stored.task.spec.env, stored.task.spec.secrets) == ({"CC": "1:clang"}, {"KEY": "2:s3cret"})
    assert (await bench.service.create(TASK_ID, spec, "ann"))[1] is False
    for secrets in ({}, {"KEY": "other"}, {"OTHER": "s3cret"}):
        with pytest.raises(Refused):
            await bench.service.create(TASK_ID, spec.model_copy(update={"secrets": secrets}), "ann")
    moved = {"env": {"CC": "clang", "KEY": "s3cret"}, "secrets": {}}
    with pytest.raises(Refused):
        await bench.service.create(TASK_ID, spec.model_copy(update=moved), "ann")


async def test_lock_paths_are_normalised_under_the_registered_root() -> None:
    bench = Harness()
    spec = SPEC.model_copy(update={"lock_paths": ["src/api", "/srv/acme/src/"]})
    stored, _ = await bench.service.create(TASK_ID, spec, "ann")
    assert stored.task.spec.lock_paths == ["src"]
    with pytest.raises(Invalid):
        await bench.service.create(TASK_ID, SPEC.model_copy(update={"lock_paths": ["/etc"]}), "ann")


async def test_an_unregistered_workspace_is_not_found(bench: Harness) -> None:
    bench.view.registered = None
    for call in (bench.service.create(TASK_ID, SPEC, "ann"), bench.service.dispatch(TASK_ID, "ann")):
        with pytest.raises(NotFound) as missing:
            await call
        assert missing.value.code == "no-such-workspace"


async def test_no_such_task() -> None:
    service = Harness().service
    for call in (
        service.read(TASK_ID),
        service.cancel(TASK_ID, None, "ann"),
        service.dispatch(TASK_ID, "ann"),
    ):
        with pytest.raises(NotFound):
            await call


# ---------------------------------------------------------------- conflicts


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


# ---------------------------------------------------------------- the leader is asked


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
    stored = await dispatched.service.read(TASK_ID)
    assert (stored.task.status, stored.fresh) == (Status.CANCELED, True)


async def test_what_was_not_appended_is_never_read(dispatched: Harness) -> None:
    dispatched.store.unreachable = True
    with pytest.raises(Busy):
        await dispatched.said("running")
    dispatched.store.unreachable = False
    assert (await dispatched.service.read(TASK_ID)).task.status is Status.DISPATCHED
    assert (await dispatched.said("queued")).recorded
    assert dispatched.names == ["created", "dispatched", "queued"]


# ---------------------------------------------------------------- one attempt only


async def test_a_report_is_dropped_when_a_newer_attempt_came_in_between(dispatched: Harness) -> None:
    dispatched.rival(end_and_dispatch)
    with pytest.raises(Refused) as refusal:
        await dispatched.said("failed")
    assert refusal.value.code == "stale-attempt"
    assert (dispatched.task.attempt, dispatched.task.status) == (2, Status.DISPATCHED)


async def test_findings_are_dropped_when_a_newer_attempt_came_in_between(dispatched: Harness) -> None:
    service = dispatched.service
    for call in (
        lambda attempt: service.submit_failed(TASK_ID, attempt, "deadline", None, "dispatch"),
        lambda attempt: service.accepted(TASK_ID, attempt, "r1"),
        lambda attempt: service.runner_lost(TASK_ID, attempt, "gone", "watchdog"),
        lambda attempt: service.lock_wait_over(TASK_ID, attempt, "held too long", "lock-wait"),
    ):
        attempt = dispatched.task.attempt
        dispatched.store.cache.clear()
        await dispatched.service.read(TASK_ID)
        dispatched.elsewhere(end_and_dispatch)
        stored = await call(attempt)
        assert (stored.task.attempt, stored.task.status) == (attempt + 1, Status.DISPATCHED)
        assert not stored.recorded


async def test_a_cancel_never_hits_an_attempt_it_was_not_meant_for(dispatched: Harness) -> None:
    dispatched.rival(end_and_dispatch)
    with pytest.raises(Refused) as refusal:
        await dispatched.service.cancel(TASK_ID, None, "ann")
    assert refusal.value.code == "stale-attempt"
    assert dispatched.task.status is Status.DISPATCHED


async def test_a_dispatch_is_decided_for_the_attempt_it_was_asked_after(dispatched: Harness) -> None:
    await dispatched.said("failed")
    dispatched.rival(lambda task: (dispatch(task), submit_failed(task)))
    with pytest.raises(Refused) as refusal:
        await dispatched.service.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "stale-attempt"
    assert dispatched.task.attempt == 2


@pytest.mark.parametrize("meanwhile", [end_and_dispatch, submit_failed])
async def test_a_create_that_comes_late_begins_no_second_attempt(bench: Harness, meanwhile: Any) -> None:
    def overtake(task: Task) -> None:
        dispatch(task)
        meanwhile(task)

    bench.elsewhere(overtake)
    seen = list(bench.names)
    with pytest.raises(Refused) as refusal:
        await bench.service.dispatch(TASK_ID, "ann", first=True)
    assert refusal.value.code == "stale-attempt"
    assert bench.names == seen


async def test_a_create_that_comes_late_does_not_begin_what_was_canceled(bench: Harness) -> None:
    bench.elsewhere(cancel)
    with pytest.raises(Refused) as refusal:
        await bench.service.dispatch(TASK_ID, "ann", first=True)
    assert refusal.value.code == "stale-attempt"
    assert bench.names == ["created", "canceled"]


async def test_a_dispatch_keeps_its_attempt_while_it_waits(dispatched: Harness) -> None:
    """Others in the same process change the very task that it has read."""
    await dispatched.said("failed")

    async def another_dispatch_fails() -> None:
        await dispatched.service.dispatch(TASK_ID, "bob")
        await dispatched.said("failed", attempt=2)

    dispatched.view.while_waiting = another_dispatch_fails
    with pytest.raises(Refused) as refusal:
        await dispatched.service.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "stale-attempt"
    assert dispatched.task.attempt == 2


# ---------------------------------------------------------------- grants and tokens


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


# ---------------------------------------------------------------- release by hand


@pytest.mark.parametrize(
    ("status", "events", "may_run"),
    [
        (None, ["canceled"], False),
        ("queued", ["cancel-requested", "lock-release-requested"], True),
        ("running", ["cancel-requested", "lock-release-requested"], True),
    ],
)
async def test_release_by_hand(
    dispatched: Harness, status: str | None, events: list[str], may_run: bool
) -> None:
    if status is not None:
        await dispatched.said(status)
    before = len(dispatched.names)
    release = await dispatched.service.release_locks(TASK_ID, "stuck", "bob")
    assert release is not None
    assert (release.attempt, release.token, release.process_may_run) == (1, 41, may_run)
    assert dispatched.names[before:] == events
    assert await dispatched.service.release_locks(TASK_ID, "stuck", "bob") == release
    assert dispatched.names[before:] == events


async def test_release_where_nothing_is_held_records_nothing(dispatched: Harness) -> None:
    dispatched.view.tokens.clear()
    assert await dispatched.service.release_locks(TASK_ID, "stuck", "bob") is None
    assert dispatched.names == ["created", "dispatched"]


async def test_a_release_does_not_reach_a_newer_attempt(dispatched: Harness) -> None:
    await dispatched.said("running")
    dispatched.rival(lambda task: (report(task, "failed"), dispatch(task)))
    release = await dispatched.service.release_locks(TASK_ID, "stuck", "bob")
    assert release is not None
    assert not release.process_may_run
    assert (dispatched.task.attempt, dispatched.names[-1]) == (2, "dispatched")


async def test_a_full_workspace_takes_no_dispatch_and_nothing_is_recorded(bench: Harness) -> None:
    bench.view.open = OpenSize(held=1, waiting=MAX_OPEN_CLAIMS - 1)
    for first in (True, False):
        with pytest.raises(Refused) as refusal:
            await bench.service.dispatch(TASK_ID, "ann", first=first)
        assert refusal.value.code == "workspace-full"
    assert bench.names == ["created"]
    bench.view.open = OpenSize(held=1, waiting=MAX_OPEN_CLAIMS - 2)
    await bench.service.dispatch(TASK_ID, "ann")
    assert bench.names == ["created", "dispatched"]


async def test_a_task_that_is_dispatched_is_told_so_and_not_that_its_workspace_is_full(
    dispatched: Harness,
) -> None:
    dispatched.view.open = OpenSize(waiting=MAX_OPEN_CLAIMS)
    with pytest.raises(Refused) as refusal:
        await dispatched.service.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "already-dispatched"


# ---------------------------------------------------------------- a leader that has not applied all it has


SEEN = {
    "submit-failed": lambda service: service.submit_failed(TASK_ID, 1, "deadline", None, "dispatch"),
    "lock-wait-over": lambda service: service.lock_wait_over(TASK_ID, 1, "too long", "dispatch"),
    "runner-lost": lambda service: service.runner_lost(TASK_ID, 1, "gone", "watchdog"),
    "accepted": lambda service: service.accepted(TASK_ID, 1, "r1"),
    "read an attempt": lambda service: service.read(TASK_ID, attempt=1),
    "read a version": lambda service: service.read(TASK_ID, version=2),
}


@pytest.mark.parametrize("what", SEEN)
async def test_nothing_is_made_of_a_task_that_is_older_than_what_was_seen_of_it(
    bench: Harness, what: str
) -> None:
    """The caller acts on an event of attempt 1; a leader just elected says that there was none."""
    with pytest.raises(Busy) as busy:
        await SEEN[what](bench.service)
    assert busy.value.code == "log-behind"
    bench.elsewhere(dispatch)  # it has applied it now
    assert (await SEEN[what](bench.service)).task.attempt == 1
