"""TaskCommands: each is decided for the attempt that its operator has seen."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import Invalid, NotFound, Refused
from domain.locks.claim_capacity import MAX_OPEN_CLAIMS
from domain.locks.workspace_locks import OpenSize
from domain.runners.runner_key import runner_id_of
from domain.task.aggregate import Task
from domain.task.transitions import Status
from tests.unit.domain.samples import TASK_ID, cancel, dispatch, report, submit_failed
from tests.unit.domain.services.service_fakes import SPEC, Harness, end_and_dispatch


async def test_create_is_idempotent() -> None:
    harness = Harness()
    first, new = await harness.commands.create(TASK_ID, SPEC, "ann")
    again, anew = await harness.commands.create(TASK_ID, SPEC, "bob")
    assert (new, anew) == (True, False)
    assert again.task.spec == first.task.spec
    assert harness.names == ["created"]


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
async def test_the_same_id_with_other_content_is_refused(harness: Harness, change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        await harness.commands.create(TASK_ID, SPEC.model_copy(update=change), "ann")
    assert refusal.value.code == "id-taken"
    assert harness.names == ["created"]


async def test_env_is_sealed_and_compared_by_its_values() -> None:
    harness = Harness()
    spec = SPEC.model_copy(update={"env": {"KEY": "secret"}})
    stored, _ = await harness.commands.create(TASK_ID, spec, "ann")
    assert stored.task.spec.env == {"KEY": "1:secret"}
    assert (await harness.commands.create(TASK_ID, spec, "ann"))[1] is False
    for env in ({}, {"KEY": "other"}, {"KEY": "secret", "MORE": "x"}):
        with pytest.raises(Refused):
            await harness.commands.create(TASK_ID, spec.model_copy(update={"env": env}), "ann")


async def test_secrets_are_sealed_and_compared_by_their_values() -> None:
    harness = Harness()
    spec = SPEC.model_copy(update={"env": {"CC": "clang"}, "secrets": {"KEY": "s3cret"}})
    stored, _ = await harness.commands.create(TASK_ID, spec, "ann")
    assert (stored.task.spec.env, stored.task.spec.secrets) == ({"CC": "1:clang"}, {"KEY": "2:s3cret"})
    assert (await harness.commands.create(TASK_ID, spec, "ann"))[1] is False
    for secrets in ({}, {"KEY": "other"}, {"OTHER": "s3cret"}):
        with pytest.raises(Refused):
            await harness.commands.create(TASK_ID, spec.model_copy(update={"secrets": secrets}), "ann")
    moved = {"env": {"CC": "clang", "KEY": "s3cret"}, "secrets": {}}
    with pytest.raises(Refused):
        await harness.commands.create(TASK_ID, spec.model_copy(update=moved), "ann")


async def test_lock_paths_are_normalised_under_the_registered_root() -> None:
    harness = Harness()
    spec = SPEC.model_copy(update={"lock_paths": ["src/api", "/srv/acme/src/"]})
    stored, _ = await harness.commands.create(TASK_ID, spec, "ann")
    assert stored.task.spec.lock_paths == ["src"]
    with pytest.raises(Invalid):
        await harness.commands.create(TASK_ID, SPEC.model_copy(update={"lock_paths": ["/etc"]}), "ann")


async def test_an_unregistered_workspace_is_not_found(harness: Harness) -> None:
    harness.view.registered = None
    for call in (harness.commands.create(TASK_ID, SPEC, "ann"), harness.commands.dispatch(TASK_ID, "ann")):
        with pytest.raises(NotFound) as missing:
            await call
        assert missing.value.code == "no-such-workspace"


async def test_no_such_task() -> None:
    commands = Harness().commands
    for call in (
        commands.read(TASK_ID),
        commands.cancel(TASK_ID, None, "ann"),
        commands.dispatch(TASK_ID, "ann"),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_cancel_never_hits_an_attempt_it_was_not_meant_for(dispatched: Harness) -> None:
    dispatched.rival(end_and_dispatch)
    with pytest.raises(Refused) as refusal:
        await dispatched.commands.cancel(TASK_ID, None, "ann")
    assert refusal.value.code == "stale-attempt"
    assert dispatched.task.status is Status.DISPATCHED


async def test_a_dispatch_is_decided_for_the_attempt_it_was_asked_after(dispatched: Harness) -> None:
    await dispatched.said("failed")
    dispatched.rival(lambda task: (dispatch(task), submit_failed(task)))
    with pytest.raises(Refused) as refusal:
        await dispatched.commands.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "stale-attempt"
    assert dispatched.task.attempt == 2


@pytest.mark.parametrize("meanwhile", [end_and_dispatch, submit_failed])
async def test_a_create_that_comes_late_begins_no_second_attempt(harness: Harness, meanwhile: Any) -> None:
    def overtake(task: Task) -> None:
        dispatch(task)
        meanwhile(task)

    harness.elsewhere(overtake)
    seen = list(harness.names)
    with pytest.raises(Refused) as refusal:
        await harness.commands.dispatch(TASK_ID, "ann", first=True)
    assert refusal.value.code == "stale-attempt"
    assert harness.names == seen


async def test_a_create_that_comes_late_does_not_begin_what_was_canceled(harness: Harness) -> None:
    harness.elsewhere(cancel)
    with pytest.raises(Refused) as refusal:
        await harness.commands.dispatch(TASK_ID, "ann", first=True)
    assert refusal.value.code == "stale-attempt"
    assert harness.names == ["created", "canceled"]


async def test_a_dispatch_keeps_its_attempt_while_it_waits(dispatched: Harness) -> None:
    """Others in the same process change the very task that it has read."""
    await dispatched.said("failed")

    async def another_dispatch_fails() -> None:
        await dispatched.commands.dispatch(TASK_ID, "bob")
        await dispatched.said("failed", attempt=2)

    dispatched.view.while_waiting = another_dispatch_fails
    with pytest.raises(Refused) as refusal:
        await dispatched.commands.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "stale-attempt"
    assert dispatched.task.attempt == 2


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
    release = await dispatched.commands.release_locks(TASK_ID, "stuck", "bob")
    assert release is not None
    assert (release.attempt, release.token, release.process_may_run) == (1, 41, may_run)
    assert dispatched.names[before:] == events
    assert await dispatched.commands.release_locks(TASK_ID, "stuck", "bob") == release
    assert dispatched.names[before:] == events


async def test_release_where_nothing_is_held_records_nothing(dispatched: Harness) -> None:
    dispatched.view.tokens.clear()
    assert await dispatched.commands.release_locks(TASK_ID, "stuck", "bob") is None
    assert dispatched.names == ["created", "dispatched"]


async def test_a_release_does_not_reach_a_newer_attempt(dispatched: Harness) -> None:
    await dispatched.said("running")
    dispatched.rival(lambda task: (report(task, "failed"), dispatch(task)))
    release = await dispatched.commands.release_locks(TASK_ID, "stuck", "bob")
    assert release is not None
    assert not release.process_may_run
    assert (dispatched.task.attempt, dispatched.names[-1]) == (2, "dispatched")


async def test_a_full_workspace_takes_no_dispatch_and_nothing_is_recorded(harness: Harness) -> None:
    harness.view.open = OpenSize(held=1, waiting=MAX_OPEN_CLAIMS - 1)
    for first in (True, False):
        with pytest.raises(Refused) as refusal:
            await harness.commands.dispatch(TASK_ID, "ann", first=first)
        assert refusal.value.code == "workspace-full"
    assert harness.names == ["created"]
    harness.view.open = OpenSize(held=1, waiting=MAX_OPEN_CLAIMS - 2)
    await harness.commands.dispatch(TASK_ID, "ann")
    assert harness.names == ["created", "dispatched"]


async def test_a_claim_that_has_ended_is_not_begun_again_as_no_runner_takes_it() -> None:
    harness = Harness()
    spec = SPEC.model_copy(update={"pool": runner_id_of("host", "key.x")})
    await harness.commands.create(TASK_ID, spec, "ann")
    await harness.commands.dispatch(TASK_ID, "ann")
    await harness.commands.cancel(TASK_ID, "enough", "ann")
    with pytest.raises(Refused, match="run `towpath lock` again") as refusal:
        await harness.commands.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "claim-ended"
    assert harness.names == ["created", "dispatched", "canceled"]


async def test_a_task_that_is_dispatched_is_told_so_and_not_that_its_workspace_is_full(
    dispatched: Harness,
) -> None:
    dispatched.view.open = OpenSize(waiting=MAX_OPEN_CLAIMS)
    with pytest.raises(Refused) as refusal:
        await dispatched.commands.dispatch(TASK_ID, "ann")
    assert refusal.value.code == "already-dispatched"
