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
from tests.integration.projections.stage import Stage, check_exclusive
from tests.support.memory_store import MemorySnapshots
from tests.support.messages import now
from tests.support.nats import StartNats, connect
from tests.support.waiting import eventually


async def test_it_grants_in_order_and_releases_at_every_end(stage: Stage) -> None:
    stage.run(stage.projector().run())
    first, second, third = [await stage.dispatch("src") for _ in range(3)]
    await stage.until(("granted", first))
    await stage.report(first, "failed")
    await stage.until(("granted", first), ("released", first), ("granted", second))
    await stage.commands.cancel(third, "not needed", "operator:ann")
    await stage.findings.submit_failed(second, 1, "unreachable", None, "dispatch")
    await stage.until(("granted", first), ("released", first), ("granted", second), ("released", second))
    released = [fact.data for fact in await stage.facts() if fact.event == "released"]
    assert [one["cause"] for one in released] == ["failed", "submit-failed"]


async def test_it_refuses_who_will_not_wait_and_names_the_holder(stage: Stage) -> None:
    stage.run(stage.projector().run())
    holder = await stage.dispatch("src")
    await stage.until(("granted", holder))
    refused = await stage.dispatch("src/api", on_conflict="reject")
    await stage.until(("granted", holder), ("refused", refused))
    granted, refusal = await stage.facts()
    assert refusal.data["holders"] == [{"task_id": holder, "attempt": 1, "token": granted.seq}]


async def test_shared_claims_hold_together_and_no_writer_starves(stage: Stage) -> None:
    stage.run(stage.projector().run())
    readers = [await stage.dispatch(lock_mode="shared") for _ in range(2)]
    writer = await stage.dispatch()
    late = await stage.dispatch(lock_mode="shared")
    await stage.until(*(("granted", reader) for reader in readers))
    for reader in readers:
        await stage.report(reader)
    await eventually(lambda: _holds(stage, writer))
    await stage.report(writer)
    await eventually(lambda: _holds(stage, late))


async def test_a_release_by_hand_frees_what_runs(stage: Stage) -> None:
    stage.run(stage.projector().run())
    stuck, next_one = await stage.dispatch(), await stage.dispatch()
    await stage.until(("granted", stuck))
    await stage.report(stuck, "running")
    await stage.commands.release_locks(stuck, "host is gone", "operator:ann")
    await stage.until(("granted", stuck), ("released", stuck), ("granted", next_one))
    released = (await stage.facts())[1].data
    assert (released["cause"], released["by"]) == ("operator", "operator:ann")


async def test_a_void_grant_is_released_and_starts_nothing(stage: Stage) -> None:
    """A decider that had not seen the end granted all the same."""
    task_id = await stage.dispatch()
    await stage.commands.cancel(task_id, None, "operator:ann")
    data = GrantedData(task_id=task_id, attempt=1, root="/srv/acme", paths=[], mode="exclusive", seen_seq=3)
    fact = LockFact("acme", "granted", data, 0, 1, "0" * 64)
    await stage.world.locks.append_lock(fact, at=now(), actor="lock-projection")
    next_one = await stage.dispatch()
    stage.run(stage.projector().run())
    await stage.until(("granted", task_id), ("released", task_id), ("granted", next_one))


@pytest.mark.parametrize("projectors", [2, 4])
async def test_any_number_of_projectors_append_each_fact_once(
    stage: Stage, nats_server: EmbeddedNats, projectors: int
) -> None:
    others = [await connect(nats_server.control_url) for _ in range(projectors)]
    for number, other in enumerate(others):
        stage.run(Stage(other, grouped=number % 2 == 1).projector().run())
    tasks = [await stage.dispatch("src") for _ in range(25)]
    for task_id in tasks:
        await eventually(lambda task_id=task_id: _holds(stage, task_id))
        await stage.report(task_id)
    await eventually(lambda: _free(stage))
    facts = await stage.facts()
    check_exclusive(facts)
    assert len(facts) == 2 * len(tasks)
    for other in others:
        await other.close()


async def test_crashes_and_snapshots_of_any_age_change_nothing(stage: Stage) -> None:
    ages = [MemorySnapshots() for _ in range(3)]
    tasks = [await stage.dispatch("src") for _ in range(18)]
    for number, task_id in enumerate(tasks):
        running = stage.run(stage.projector(ages[number % 3], snapshot_every=7).run())
        await eventually(lambda task_id=task_id: _holds(stage, task_id))
        if number % 2:
            await stage.stop(running)
            await stage.report(task_id)
        else:
            await stage.report(task_id)
            await stage.stop(running)
    stage.run(stage.projector(ages[0]).run())
    await eventually(lambda: _free(stage))
    facts = await stage.facts()
    check_exclusive(facts)
    assert len(facts) == 2 * len(tasks)


async def test_a_snapshot_shortens_the_start_and_holds_the_table(stage: Stage) -> None:
    snapshots = MemorySnapshots()
    first = stage.projector(snapshots)
    running = stage.run(first.run())
    holder, waiter = await stage.dispatch(), await stage.dispatch()
    await stage.until(("granted", holder))
    await eventually(lambda: first.table.seq >= 6)
    await stage.stop(running)
    await first.save()
    second = stage.projector(snapshots)
    await second.restore()
    assert second.table.snapshot() == first.table.snapshot()
    await stage.report(holder)
    stage.run(second.run())
    await stage.until(("granted", holder), ("released", holder), ("granted", waiter))


async def test_a_snapshot_of_another_log_is_passed_over(stage: Stage, start_nats: StartNats) -> None:
    """The data directory of NATS was replaced, the database was not."""
    snapshots = MemorySnapshots()
    old = stage.projector(snapshots)
    running = stage.run(old.run())
    holder = await stage.dispatch()
    await stage.until(("granted", holder))
    await eventually(lambda: old.table.seq == 4)
    await stage.stop(running)
    await old.save()
    nc = await connect(start_nats().control_url)
    await ensure_streams(nc)
    async with Stage(nc) as fresh:
        await fresh.register()
        tasks = [await fresh.dispatch() for _ in range(3)]
        fresh.run(fresh.projector(snapshots).run())
        await fresh.until(("granted", tasks[0]))
    await nc.close()


async def test_a_log_that_loses_its_end_ends_it(js_connection: Client) -> None:
    """What was folded and acted upon is gone: nothing is decided on that."""
    projector = Stage(js_connection, retry_seconds=0.01).projector()
    projector.table.seq = 3
    with pytest.raises(ExceptionGroup) as raised:
        await projector.run()
    assert raised.group_contains(LogGap)


async def test_a_handoff_works_while_nats_restarts(
    stage: Stage, nats_server: EmbeddedNats, js_connection: Client
) -> None:
    stage.run(stage.projector().run())
    first, second = await stage.dispatch(), await stage.dispatch()
    await stage.until(("granted", first))
    ending = asyncio.create_task(stage.report(first))
    nats_server.stop()
    nats_server.start()
    await ending
    await eventually(lambda: _holds(stage, second))
    assert await stage.names() == [("granted", first), ("released", first), ("granted", second)]


async def test_the_projector_goes_on_when_the_log_was_away_while_it_decided(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    async with Stage(js_connection, settle_seconds=0.2) as stage:
        await stage.register()
        task_id = await stage.dispatch()
        nats_server.stop()
        running = stage.run(stage.projector().run())
        await asyncio.wait({running}, timeout=1.0)
        assert not running.done()
        nats_server.start()
        await eventually(lambda: _holds(stage, task_id))


async def _holds(stage: Stage, task_id: str) -> bool:
    names = await stage.names()
    return ("granted", task_id) in names and ("released", task_id) not in names


async def _free(stage: Stage) -> bool:
    names = await stage.names()
    return len(names) % 2 == 0 and bool(names) and names[-1][0] == "released"
