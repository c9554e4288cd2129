"""An older backup is restored under processes that still run: none goes on from what it has seen before."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client

from adapters.crypto.checkpoint_keys import CheckpointKey, PublicKeys
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.reading.raw_reader import RawLog
from adapters.nats.client import new_client
from domain.errors import NotFound
from domain.evidence.checkpoint import CheckpointInvalid, check_follows, check_signature
from domain.ports.log import LogGap
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from projections.checkpoint_signer import CheckpointSigner
from tests.integration.projections.harness import ProjectionHarness
from tests.support.messages import new_id, now
from tests.support.nats import CLIENT, api, append
from tests.support.waiting import eventually

KEY = CheckpointKey("33" * 32)


async def emptied(nc: Client, *streams: str) -> None:
    """The streams as they are before anything is restored into them."""
    for stream in streams:
        assert (await api(nc, f"STREAM.DELETE.{stream}", {}))["success"]
    await ensure_streams(nc)


async def write(nc: Client, ids: list[str]) -> None:
    for task_id in ids:
        await append(nc, task_id, "created", 0)


@pytest.mark.parametrize("more", [0, 9], ids=["shorter", "grown beyond it"])
async def test_a_sealer_goes_on_from_the_checkpoints_that_were_restored(
    nats_server: EmbeddedNats, js_connection: Client, more: int
) -> None:
    tap, keys = new_client(CLIENT), PublicKeys([KEY.public])
    await tap.connect(nats_server.control_url)
    try:
        signer = CheckpointSigner(RawLog(tap), JetStreamLogCheckpoints(tap), KEY, keys, now, 4, 1000.0)
        ids = [new_id() for _ in range(8)]
        await write(js_connection, ids)
        assert [await signer.sign_due() for _ in range(3)] == [True, True, False]
        first, _ = [one async for one in JetStreamLogCheckpoints(tap).read()]

        await emptied(js_connection, "TOWPATH", "TOWPATH_CHECKPOINT")
        await write(js_connection, ids[:5])
        assert await JetStreamLogCheckpoints(tap).append(first)
        await write(js_connection, [new_id() for _ in range(more)])
        if not more:
            with pytest.raises(CheckpointInvalid, match="3 events before"):
                await signer.sign_due()
            await write(js_connection, [new_id() for _ in range(9)])
        running = asyncio.create_task(signer.run())

        async def sealed() -> bool:
            last = await JetStreamLogCheckpoints(tap).last()
            return last is not None and last.last_seq == 12

        await eventually(sealed, 30)
        running.cancel()
        found = [one async for one in JetStreamLogCheckpoints(tap).read()]
        assert [(one.first_seq, one.last_seq) for one in found] == [(1, 4), (5, 8), (9, 12)]
        for before, after in zip([None, *found], found, strict=False):
            check_follows(before, after)
            check_signature(after, keys)
    finally:
        await tap.close()


@pytest.mark.parametrize("more", [0, 40], ids=["shorter", "grown beyond it"])
async def test_the_lock_view_and_the_task_cache_end_with_their_log(js_connection: Client, more: int) -> None:
    harness = ProjectionHarness(js_connection)
    view = asyncio.create_task(harness.view.run())
    await harness.register()
    holder = await harness.dispatch()
    assert (await harness.commands.read(holder)).task.attempt == 1, "it is in the cache"
    await eventually(lambda: harness.view.seq >= 3)

    await emptied(js_connection, "TOWPATH")
    await harness.register("acme", "hold")
    for _ in range(more):
        await append(js_connection, new_id(), "created", 0)
    with pytest.raises(NotFound):
        await harness.commands.read(holder)
    with pytest.raises(LogGap, match="replaced"):
        await asyncio.wait_for(view, 30)
