"""What a process answers about locks from its own fold, and when it waits for the leader first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import projections.lock_view
from domain.errors import Busy
from domain.log.filter import EventFilter
from projections.lock_view import FoldedLockView
from tests.integration.projections.stage import Stage
from tests.support.memory_store import MemorySnapshots
from tests.support.messages import now
from tests.support.waiting import eventually


def view_of(stage: Stage, snapshots: MemorySnapshots | None = None) -> FoldedLockView:
    return FoldedLockView(stage.world.reader, snapshots or MemorySnapshots())


async def asked_before_it_folds(stage: Stage, late: FoldedLockView, holder: str) -> tuple[Any, Any, Any]:
    """Whether `holder` is granted, its token, and the registration, asked of a view that starts only then."""
    asked = asyncio.gather(
        late.granted(holder, 1, "acme"), late.holding(holder, 1, "acme"), late.registration("acme")
    )
    await asyncio.wait([asked], timeout=0.1)
    stage.run(late.run())
    return await asked


async def test_it_waits_for_what_the_lock_projection_decides(stage: Stage) -> None:
    holder, waiter = await stage.dispatch(), await stage.dispatch()
    refused = await stage.dispatch(on_conflict="reject")
    undecided = await stage.view.decided(holder, 1, timeout=0.05)
    assert undecided == "undecided"
    waiting = [asyncio.create_task(stage.view.decided(one, 1)) for one in (holder, waiter, refused)]
    stage.run(stage.projector().run())
    assert await asyncio.gather(*waiting) == ["granted", "waiting", "refused"]
    assert [one["task_id"] for one in stage.view.refusal(refused, 1)] == [holder, waiter]
    assert await stage.view.decided(holder, 2, timeout=0.01) == "undecided"


async def test_it_waits_until_an_attempt_holds_nothing(stage: Stage) -> None:
    stage.run(stage.projector().run())
    holder = await stage.dispatch()
    assert await stage.view.decided(holder, 1) == "granted"
    assert not await stage.view.released(holder, 1, timeout=0.05)
    waiting = asyncio.create_task(stage.view.released(holder, 1))
    await stage.report(holder)
    assert await waiting
    assert await stage.view.decided(holder, 1) == "granted"
    task = (await stage.commands.read(holder)).task
    assert stage.view.lock_of(task).state == "released"


async def test_it_shows_holders_and_waiters(stage: Stage) -> None:
    stage.run(stage.projector().run())
    holder = await stage.dispatch("src")
    waiter = await stage.dispatch("src/api")
    await eventually(lambda: stage.view.entries("acme")[0].holders)
    await eventually(lambda: stage.view.entries("acme")[0].waiters)
    entry = stage.view.entries()[0]
    (grant,) = await stage.facts()
    assert [(one.task_id, one.token) for one in entry.holders] == [(holder, grant.seq)]
    assert [(one.task_id, one.position, one.blocked_by) for one in entry.waiters] == [(waiter, 1, [holder])]
    assert stage.view.entries("other")[0].holders == []


async def test_what_is_asked_of_the_leader_waits_for_the_fold(stage: Stage) -> None:
    """A view that has just started knows nothing: it must not say that nothing is granted."""
    stage.run(stage.projector().run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    (grant,) = await stage.facts()
    late = view_of(stage)
    granted, token, registration = await asked_before_it_folds(stage, late, holder)
    assert granted is True
    assert token == grant.seq
    assert registration is not None
    assert not await late.granted(holder, 2, "acme")
    assert await late.holding(holder, 2, "acme") is None
    assert await late.registration("other") is None


async def test_a_fold_that_stays_behind_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run(stage.projector().run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    still = view_of(stage)
    monkeypatch.setattr(still, "caught_up", lambda seq: FoldedLockView.caught_up(still, seq, 0.05))
    for asked in (
        still.granted(holder, 1, "acme"),
        still.holding(holder, 1, "acme"),
        still.registration("acme"),
    ):
        with pytest.raises(Busy):
            await asked


async def test_a_changed_registration_is_never_answered_as_it_was(stage: Stage) -> None:
    """`the same again` records nothing, so it must be decided on what the leader has."""
    assert await stage.view.registration("acme") is not None
    paused = view_of(stage)
    folding = stage.run(paused.run())
    before = await paused.registration("acme")
    await stage.stop(folding)
    last = await stage.world.workspaces.last_registration("acme")
    assert last is not None
    await stage.world.workspaces.append_registered(
        "acme", last, "/srv/moved", "hold", at=now(), actor="operator:bob"
    )
    asked = asyncio.create_task(paused.registration("acme"))
    await asyncio.wait({asked}, timeout=0.1)
    assert not asked.done(), f"answered {before} though the leader has another"
    stage.run(paused.run())
    after = await asked
    assert after is not None
    assert (after.root, after.on_runner_lost) == ("/srv/moved", "hold")


async def test_what_a_release_owes_is_not_held(stage: Stage) -> None:
    projector = stage.projector()
    running = stage.run(projector.run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    await stage.stop(running)
    await stage.report(holder)
    await eventually(lambda: stage.view.caught_up(4))
    last = await stage.world.reader.last_seq()
    assert await stage.view.caught_up(last)
    assert await stage.view.holding(holder, 1, "acme") is None
    assert not await stage.view.caught_up(last + 1, timeout=0.05)


async def test_it_goes_on_from_its_snapshot(stage: Stage) -> None:
    stage.run(stage.projector().run())
    snapshots = MemorySnapshots()
    holder, waiter = await stage.dispatch(), await stage.dispatch()
    first = view_of(stage, snapshots)
    running = stage.run(first.run())
    assert await first.decided(holder, 1) == "granted"
    assert await first.decided(waiter, 1) == "waiting"
    await stage.stop(running)
    await first.save()
    kept = await snapshots.load(projections.lock_view.SNAPSHOT)
    assert kept is not None
    assert kept[0] == first.seq
    await stage.report(holder)
    second = view_of(stage, snapshots)
    stage.run(second.run())
    assert await second.decided(waiter, 1) == "granted"
    assert await second.registration("acme") is not None
    (entry,) = second.entries()
    assert [one.task_id for one in entry.holders] == [waiter]


async def test_it_remembers_a_bounded_past(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections.lock_view, "REMEMBERED", 2)
    stage.run(stage.projector().run())
    ended = [await stage.dispatch() for _ in range(3)]
    for task_id in ended:
        assert await stage.view.decided(task_id, 1, timeout=5) in ("granted", "waiting")
        await stage.report(task_id)
        assert await stage.view.released(task_id, 1)
    await stage.view.caught_up(await stage.world.reader.last_seq())
    assert [await stage.view.decided(one, 1, timeout=0.01) for one in ended] == [
        "undecided",
        "granted",
        "granted",
    ]


async def test_a_no_is_said_on_the_whole_log_only(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader before the present one may answer what is asked by subject, and not have it yet."""
    stage.run(stage.projector().run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    late = view_of(stage)

    async def of_the_leader_before(_: EventFilter) -> int:
        return 0

    monkeypatch.setattr(stage.world.reader, "last_seq_of", of_the_leader_before)
    assert all(await asked_before_it_folds(stage, late, holder))
