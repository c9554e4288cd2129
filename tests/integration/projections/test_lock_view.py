"""What a process answers about locks from its own fold, and when it waits for the leader first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import projections.lock_view
from domain.errors import Busy
from domain.log.filter import EventFilter
from projections.lock_view import FoldedLockView
from tests.integration.projections.harness import ProjectionHarness
from tests.support.memory_store import MemorySnapshots
from tests.support.messages import now
from tests.support.waiting import eventually


def view_of(harness: ProjectionHarness, snapshots: MemorySnapshots | None = None) -> FoldedLockView:
    return FoldedLockView(harness.log.reader, snapshots or MemorySnapshots())


async def asked_before_it_folds(
    harness: ProjectionHarness, late: FoldedLockView, holder: str
) -> tuple[Any, Any, Any]:
    """Whether `holder` is granted, its token, and the registration, asked of a view that starts only then."""
    asked = asyncio.gather(
        late.granted(holder, 1, "acme"), late.holding(holder, 1, "acme"), late.registration("acme")
    )
    await asyncio.wait([asked], timeout=0.1)
    harness.run(late.run())
    return await asked


async def test_it_waits_for_what_the_lock_projection_decides(harness: ProjectionHarness) -> None:
    holder, waiter = await harness.dispatch(), await harness.dispatch()
    refused = await harness.dispatch(on_conflict="reject")
    undecided = await harness.view.decided(holder, 1, timeout=0.05)
    assert undecided == "undecided"
    waiting = [asyncio.create_task(harness.view.decided(one, 1)) for one in (holder, waiter, refused)]
    harness.run(harness.projector().run())
    assert await asyncio.gather(*waiting) == ["granted", "waiting", "refused"]
    assert [one["task_id"] for one in harness.view.refusal(refused, 1)] == [holder, waiter]
    assert await harness.view.decided(holder, 2, timeout=0.01) == "undecided"


async def test_it_waits_until_an_attempt_holds_nothing(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    holder = await harness.dispatch()
    assert await harness.view.decided(holder, 1) == "granted"
    assert not await harness.view.released(holder, 1, timeout=0.05)
    waiting = asyncio.create_task(harness.view.released(holder, 1))
    await harness.report(holder)
    assert await waiting
    assert await harness.view.decided(holder, 1) == "granted"
    task = (await harness.commands.read(holder)).task
    assert harness.view.lock_of(task).state == "released"


async def test_it_shows_holders_and_waiters(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    holder = await harness.dispatch("src")
    waiter = await harness.dispatch("src/api")
    await eventually(lambda: harness.view.entries("acme")[0].holders)
    await eventually(lambda: harness.view.entries("acme")[0].waiters)
    entry = harness.view.entries()[0]
    (grant,) = await harness.facts()
    assert [(one.task_id, one.token) for one in entry.holders] == [(holder, grant.seq)]
    assert [(one.task_id, one.position, one.blocked_by) for one in entry.waiters] == [(waiter, 1, [holder])]
    assert harness.view.entries("other")[0].holders == []


async def test_what_is_asked_of_the_leader_waits_for_the_fold(harness: ProjectionHarness) -> None:
    """A view that has just started knows nothing: it must not say that nothing is granted."""
    harness.run(harness.projector().run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    (grant,) = await harness.facts()
    late = view_of(harness)
    granted, token, registration = await asked_before_it_folds(harness, late, holder)
    assert granted is True
    assert token == grant.seq
    assert registration is not None
    assert not await late.granted(holder, 2, "acme")
    assert await late.holding(holder, 2, "acme") is None
    assert await late.registration("other") is None


async def test_a_fold_that_stays_behind_says_so(
    harness: ProjectionHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.run(harness.projector().run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    still = view_of(harness)
    monkeypatch.setattr(still, "caught_up", lambda seq: FoldedLockView.caught_up(still, seq, 0.05))
    for asked in (
        still.granted(holder, 1, "acme"),
        still.holding(holder, 1, "acme"),
        still.registration("acme"),
    ):
        with pytest.raises(Busy):
            await asked


async def test_a_changed_registration_is_never_answered_as_it_was(harness: ProjectionHarness) -> None:
    """`the same again` records nothing, so it must be decided on what the leader has."""
    assert await harness.view.registration("acme") is not None
    paused = view_of(harness)
    folding = harness.run(paused.run())
    before = await paused.registration("acme")
    await harness.stop(folding)
    last = await harness.log.workspaces.last_registration("acme")
    assert last is not None
    await harness.log.workspaces.append_registered(
        "acme", last, "/srv/moved", "hold", at=now(), actor="operator:bob"
    )
    asked = asyncio.create_task(paused.registration("acme"))
    await asyncio.wait({asked}, timeout=0.1)
    assert not asked.done(), f"answered {before} though the leader has another"
    harness.run(paused.run())
    after = await asked
    assert after is not None
    assert (after.root, after.on_runner_lost) == ("/srv/moved", "hold")


async def test_what_a_release_owes_is_not_held(harness: ProjectionHarness) -> None:
    projector = harness.projector()
    running = harness.run(projector.run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    await harness.stop(running)
    await harness.report(holder)
    await eventually(lambda: harness.view.caught_up(4))
    last = await harness.log.reader.last_seq()
    assert await harness.view.caught_up(last)
    assert await harness.view.holding(holder, 1, "acme") is None
    assert not await harness.view.caught_up(last + 1, timeout=0.05)


async def test_it_goes_on_from_its_snapshot(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    snapshots = MemorySnapshots()
    holder, waiter = await harness.dispatch(), await harness.dispatch()
    first = view_of(harness, snapshots)
    running = harness.run(first.run())
    assert await first.decided(holder, 1) == "granted"
    assert await first.decided(waiter, 1) == "waiting"
    await harness.stop(running)
    await first.save()
    kept = await snapshots.load(projections.lock_view.SNAPSHOT)
    assert kept is not None
    assert kept[0] == first.seq
    await harness.report(holder)
    second = view_of(harness, snapshots)
    harness.run(second.run())
    assert await second.decided(waiter, 1) == "granted"
    assert await second.registration("acme") is not None
    (entry,) = second.entries()
    assert [one.task_id for one in entry.holders] == [waiter]


async def test_it_remembers_a_bounded_past(
    harness: ProjectionHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections.lock_view, "REMEMBERED", 2)
    harness.run(harness.projector().run())
    ended = [await harness.dispatch() for _ in range(3)]
    for task_id in ended:
        assert await harness.view.decided(task_id, 1, timeout=5) in ("granted", "waiting")
        await harness.report(task_id)
        assert await harness.view.released(task_id, 1)
    await harness.view.caught_up(await harness.log.reader.last_seq())
    assert [await harness.view.decided(one, 1, timeout=0.01) for one in ended] == [
        "undecided",
        "granted",
        "granted",
    ]


async def test_a_no_is_said_on_the_whole_log_only(
    harness: ProjectionHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader before the present one may answer what is asked by subject, and not have it yet."""
    harness.run(harness.projector().run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    late = view_of(harness)

    async def of_the_leader_before(_: EventFilter) -> int:
        return 0

    monkeypatch.setattr(harness.log.reader, "last_seq_of", of_the_leader_before)
    assert all(await asked_before_it_folds(harness, late, holder))
