"""The lock projection on the real log: what it appends, and that any number of them append it once."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client

from domain.locks.claims import LockFact
from domain.log.events import GrantedData
from domain.ports.log import LogGap
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.integration.projections.harness import ProjectionHarness, check_exclusive
from tests.support.memory_store import MemorySnapshots
from tests.support.messages import now
from tests.support.nats import StartNats, connect
from tests.support.waiting import eventually


async def test_it_grants_in_order_and_releases_at_every_end(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    first, second, third = [await harness.dispatch("src") for _ in range(3)]
    await harness.until(("granted", first))
    await harness.report(first, "failed")
    await harness.until(("granted", first), ("released", first), ("granted", second))
    await harness.commands.cancel(third, "not needed", "operator:ann")
    await harness.findings.submit_failed(second, 1, "unreachable", None, "dispatch")
    await harness.until(("granted", first), ("released", first), ("granted", second), ("released", second))
    released = [fact.data for fact in await harness.facts() if fact.event == "released"]
    assert [one["cause"] for one in released] == ["failed", "submit-failed"]


async def test_it_refuses_who_will_not_wait_and_names_the_holder(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    holder = await harness.dispatch("src")
    await harness.until(("granted", holder))
    refused = await harness.dispatch("src/api", on_conflict="reject")
    await harness.until(("granted", holder), ("refused", refused))
    granted, refusal = await harness.facts()
    assert refusal.data["holders"] == [{"task_id": holder, "attempt": 1, "token": granted.seq}]


async def test_shared_claims_hold_together_and_no_writer_starves(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    readers = [await harness.dispatch(lock_mode="shared") for _ in range(2)]
    writer = await harness.dispatch()
    late = await harness.dispatch(lock_mode="shared")
    await harness.until(*(("granted", reader) for reader in readers))
    for reader in readers:
        await harness.report(reader)
    await eventually(lambda: _holds(harness, writer))
    await harness.report(writer)
    await eventually(lambda: _holds(harness, late))


async def test_a_release_by_hand_frees_what_runs(harness: ProjectionHarness) -> None:
    harness.run(harness.projector().run())
    stuck, next_one = await harness.dispatch(), await harness.dispatch()
    await harness.until(("granted", stuck))
    await harness.report(stuck, "running")
    await harness.commands.release_locks(stuck, "host is gone", "operator:ann")
    await harness.until(("granted", stuck), ("released", stuck), ("granted", next_one))
    released = (await harness.facts())[1].data
    assert (released["cause"], released["by"]) == ("operator", "operator:ann")


async def test_a_void_grant_is_released_and_starts_nothing(harness: ProjectionHarness) -> None:
    """A decider that had not seen the end granted all the same."""
    task_id = await harness.dispatch()
    await harness.commands.cancel(task_id, None, "operator:ann")
    data = GrantedData(task_id=task_id, attempt=1, root="/srv/acme", paths=[], mode="exclusive", seen_seq=3)
    fact = LockFact("acme", "granted", data, 0, 1, "0" * 64)
    await harness.log.locks.append_lock(fact, at=now(), actor="lock-projection")
    next_one = await harness.dispatch()
    harness.run(harness.projector().run())
    await harness.until(("granted", task_id), ("released", task_id), ("granted", next_one))


@pytest.mark.parametrize("projectors", [2, 4])
async def test_any_number_of_projectors_append_each_fact_once(
    harness: ProjectionHarness, nats_server: EmbeddedNats, projectors: int
) -> None:
    others = [await connect(nats_server.control_url) for _ in range(projectors)]
    for number, other in enumerate(others):
        harness.run(ProjectionHarness(other, grouped=number % 2 == 1).projector().run())
    tasks = [await harness.dispatch("src") for _ in range(25)]
    for task_id in tasks:
        await eventually(lambda task_id=task_id: _holds(harness, task_id))
        await harness.report(task_id)
    await eventually(lambda: _free(harness))
    facts = await harness.facts()
    check_exclusive(facts)
    assert len(facts) == 2 * len(tasks)
    for other in others:
        await other.close()


async def test_crashes_and_snapshots_of_any_age_change_nothing(harness: ProjectionHarness) -> None:
    ages = [MemorySnapshots() for _ in range(3)]
    tasks = [await harness.dispatch("src") for _ in range(18)]
    for number, task_id in enumerate(tasks):
        running = harness.run(harness.projector(ages[number % 3], snapshot_every=7).run())
        await eventually(lambda task_id=task_id: _holds(harness, task_id))
        if number % 2:
            await harness.stop(running)
            await harness.report(task_id)
        else:
            await harness.report(task_id)
            await harness.stop(running)
    harness.run(harness.projector(ages[0]).run())
    await eventually(lambda: _free(harness))
    facts = await harness.facts()
    check_exclusive(facts)
    assert len(facts) == 2 * len(tasks)


async def test_a_snapshot_shortens_the_start_and_holds_the_table(harness: ProjectionHarness) -> None:
    snapshots = MemorySnapshots()
    first = harness.projector(snapshots)
    running = harness.run(first.run())
    holder, waiter = await harness.dispatch(), await harness.dispatch()
    await harness.until(("granted", holder))
    await eventually(lambda: first.table.seq >= 6)
    await harness.stop(running)
    await first.save()
    second = harness.projector(snapshots)
    await second.restore()
    assert second.table.snapshot() == first.table.snapshot()
    await harness.report(holder)
    harness.run(second.run())
    await harness.until(("granted", holder), ("released", holder), ("granted", waiter))


async def test_a_snapshot_of_another_log_is_passed_over(
    harness: ProjectionHarness, start_nats: StartNats
) -> None:
    """The data directory of NATS was replaced, the database was not."""
    snapshots = MemorySnapshots()
    old = harness.projector(snapshots)
    running = harness.run(old.run())
    holder = await harness.dispatch()
    await harness.until(("granted", holder))
    await eventually(lambda: old.table.seq == 4)
    await harness.stop(running)
    await old.save()
    nc = await connect(start_nats().control_url)
    await ensure_streams(nc)
    async with ProjectionHarness(nc) as fresh:
        await fresh.register()
        tasks = [await fresh.dispatch() for _ in range(3)]
        fresh.run(fresh.projector(snapshots).run())
        await fresh.until(("granted", tasks[0]))
    await nc.close()


async def test_a_log_that_loses_its_end_ends_it(js_connection: Client) -> None:
    """What was folded and acted upon is gone: nothing is decided on that."""
    projector = ProjectionHarness(js_connection, retry_seconds=0.01).projector()
    projector.table.seq = 3
    with pytest.raises(ExceptionGroup) as raised:
        await projector.run()
    assert raised.group_contains(LogGap)


async def test_a_handoff_works_while_nats_restarts(
    harness: ProjectionHarness, nats_server: EmbeddedNats, js_connection: Client
) -> None:
    harness.run(harness.projector().run())
    first, second = await harness.dispatch(), await harness.dispatch()
    await harness.until(("granted", first))
    ending = asyncio.create_task(harness.report(first))
    nats_server.stop()
    nats_server.start()
    await ending
    await eventually(lambda: _holds(harness, second))
    assert await harness.names() == [("granted", first), ("released", first), ("granted", second)]


async def test_the_projector_goes_on_when_the_log_was_away_while_it_decided(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    async with ProjectionHarness(js_connection, settle_seconds=0.2) as harness:
        await harness.register()
        task_id = await harness.dispatch()
        nats_server.stop()
        running = harness.run(harness.projector().run())
        await asyncio.wait({running}, timeout=1.0)
        assert not running.done()
        nats_server.start()
        await eventually(lambda: _holds(harness, task_id))


async def _holds(harness: ProjectionHarness, task_id: str) -> bool:
    names = await harness.names()
    return ("granted", task_id) in names and ("released", task_id) not in names


async def _free(harness: ProjectionHarness) -> bool:
    names = await harness.names()
    return len(names) % 2 == 0 and bool(names) and names[-1][0] == "released"
