"""Sealers on a real server: any number of them, one chain of checkpoints, and what they do not vouch for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from adapters.crypto.checkpoint_keys import CheckpointKey, PublicKeys
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.reading.raw_reader import RawLog
from adapters.nats.client import new_client
from domain.evidence.checkpoint import CheckpointInvalid, check_follows, check_signature, make_checkpoint
from infra.nats.embedded_server import EmbeddedNats
from projections.checkpoint_signer import CheckpointSigner
from tests.support.messages import new_id, now
from tests.support.nats import CLIENT, api, append, connect
from tests.support.waiting import eventually

KEY, OTHER = CheckpointKey("33" * 32), CheckpointKey("44" * 32)


@pytest.fixture
async def tap(nats_server: EmbeddedNats, js_connection: Client) -> AsyncIterator[Client]:
    client = new_client(CLIENT)
    await client.connect(nats_server.control_url)
    yield client
    await client.close()


def signer(
    tap: Client, *, events: int = 4, seconds: float = 1000.0, key: CheckpointKey = KEY
) -> CheckpointSigner:
    log, keys = RawLog(tap), PublicKeys([key.public])
    return CheckpointSigner(log, JetStreamLogCheckpoints(tap), key, keys, now, events, seconds)


async def write(nc: Client, count: int) -> None:
    for _ in range(count):
        await append(nc, new_id(), "created", 0)


async def test_it_seals_what_is_enough_and_leaves_the_rest(js_connection: Client, tap: Client) -> None:
    one = signer(tap)
    await write(js_connection, 10)
    assert [await one.sign_due() for _ in range(3)] == [True, True, False]
    found = [found async for found in JetStreamLogCheckpoints(tap).read()]
    assert [(one.first_seq, one.last_seq) for one in found] == [(1, 4), (5, 8)]
    check_follows(None, found[0])
    check_follows(found[0], found[1])
    check_signature(found[1], PublicKeys([KEY.public]))


async def test_it_seals_few_events_after_a_while(js_connection: Client, tap: Client) -> None:
    one = signer(tap, seconds=0.0)
    await write(js_connection, 3)
    assert [await one.sign_due() for _ in range(2)] == [True, False]
    assert [found.last_seq async for found in JetStreamLogCheckpoints(tap).read()] == [3]


async def test_of_many_one_wins_and_all_go_on(js_connection: Client, tap: Client) -> None:
    await write(js_connection, 40)
    many = [signer(tap) for _ in range(5)]

    async def work(one: CheckpointSigner) -> None:
        while await one.sign_due():
            pass

    await asyncio.gather(*(work(one) for one in many))
    found = [found async for found in JetStreamLogCheckpoints(tap).read()]
    assert [one.last_seq for one in found] == list(range(4, 41, 4))
    for before, after in itertools.pairwise(found):
        check_follows(before, after)


async def test_a_restarted_one_goes_on_from_the_last_checkpoint(js_connection: Client, tap: Client) -> None:
    await write(js_connection, 4)
    await signer(tap).sign_due()
    await write(js_connection, 4)
    assert await signer(tap).sign_due()
    found = [found async for found in JetStreamLogCheckpoints(tap).read()]
    whole = signer(tap, events=8)
    assert [one.last_seq for one in found] == [4, 8]
    assert not await whole.sign_due()


async def test_it_does_not_vouch_for_what_it_does_not_trust(js_connection: Client, tap: Client) -> None:
    forged = make_checkpoint(None, [b"x" * 32], "2026-03-01T12:00:00.000000Z", OTHER)
    assert await JetStreamLogCheckpoints(tap).append(forged)
    await write(js_connection, 8)
    with pytest.raises(CheckpointInvalid, match=r"not trusted.*public:"):
        await signer(tap).sign_due()


async def test_it_says_that_the_log_lost_its_end(tap: Client) -> None:
    beyond = make_checkpoint(None, [b"x" * 32] * 5, "2026-03-01T12:00:00.000000Z", KEY)
    assert await JetStreamLogCheckpoints(tap).append(beyond)
    with pytest.raises(CheckpointInvalid, match="5 events before"):
        await signer(tap).sign_due()


async def test_it_does_not_go_on_from_an_earlier_checkpoint_than_the_last(
    js_connection: Client, tap: Client
) -> None:
    config = (await api(js_connection, "STREAM.INFO.TOWPATH_CHECKPOINT", {}))["config"]
    await api(js_connection, "STREAM.DELETE.TOWPATH_CHECKPOINT", {})
    forgers = {**config, "deny_delete": False, "deny_purge": False}
    assert "error" not in await api(js_connection, "STREAM.CREATE.TOWPATH_CHECKPOINT", forgers)
    await write(js_connection, 8)
    before = signer(tap)
    assert [await before.sign_due() for _ in range(3)] == [True, True, False]
    assert (await api(js_connection, "STREAM.MSG.DELETE.TOWPATH_CHECKPOINT", {"seq": 2}))["success"]
    with pytest.raises(CheckpointInvalid, match="checkpoint 2 is gone"):
        await signer(tap).sign_due()


async def test_without_a_stream_of_checkpoints_it_seals_nothing(js_connection: Client, tap: Client) -> None:
    await write(js_connection, 8)
    await api(js_connection, "STREAM.DELETE.TOWPATH_CHECKPOINT", {})
    with pytest.raises(CheckpointInvalid, match="no stream TOWPATH_CHECKPOINT"):
        await signer(tap).sign_due()


async def test_a_checkpoint_is_seen_by_watchers_once_it_is_stored(
    nats_server: EmbeddedNats, js_connection: Client, tap: Client
) -> None:
    guest = await connect(nats_server.url)
    try:
        watch = await guest.subscribe("towpath.checkpoint.*")
        await guest.flush()
        await write(js_connection, 4)
        await signer(tap).sign_due()
        assert (await watch.next_msg(5)).subject == "towpath.checkpoint.1"
        again = make_checkpoint(None, [b"x" * 32], "2026-03-01T12:00:00.000000Z", KEY)
        assert not await JetStreamLogCheckpoints(tap).append(again)
        await write(js_connection, 4)
        await signer(tap).sign_due()
        assert (await watch.next_msg(5)).subject == "towpath.checkpoint.2"
    finally:
        await guest.close()


async def test_running_it_seals_while_events_come(js_connection: Client, tap: Client) -> None:
    running = asyncio.create_task(signer(tap).run())
    await write(js_connection, 9)

    async def sealed() -> bool:
        last = await JetStreamLogCheckpoints(tap).last()
        return last is not None and last.last_seq == 8

    await eventually(sealed)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
