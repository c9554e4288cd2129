"""Coalesced appends: batches that never hold one filter twice, and refusals that hit only their own."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from nats.aio.client import Client

from adapters.event_store.appender import SingleAppender
from adapters.event_store.codec import Message
from adapters.event_store.group_appender import GROUP_AT_MOST, WHERE_SYNCED, GroupAppender
from adapters.nats.jetstream_api import JetStreamApi
from domain.errors import LogFull
from domain.ports.log import AppendConflict
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.support.messages import creation, new_id
from tests.support.nats import api, connect
from tests.support.servers.nats_proxy import NatsProxy


def grouped(connection: Client) -> GroupAppender:
    return GroupAppender(connection, SingleAppender(connection, JetStreamApi(connection)), new_id)


def header(frame: bytes, name: bytes) -> str:
    value = next((line for line in frame.split(b"\r\n") if line.startswith(name + b": ")), b"")
    return value[len(name) + 2 :].decode()


def batches(proxy: NatsProxy) -> list[list[str]]:
    """The CAS filters of every batch that was published."""
    found: dict[str, list[str]] = defaultdict(list)
    for frame in proxy.published:
        if batch := header(frame, b"Nats-Batch-Id"):
            found[batch].append(header(frame, b"Nats-Expected-Last-Subject-Sequence-Subject"))
    return list(found.values())


async def outcomes(appender: GroupAppender, messages: list[Message]) -> list[int | BaseException]:
    return await asyncio.gather(*map(appender.append, messages), return_exceptions=True)


async def test_many_waiting_appends_share_batches_of_distinct_filters(
    proxy: NatsProxy, proxied: Client
) -> None:
    tasks = [new_id() for _ in range(60)]
    messages = [creation(task) for task in tasks for _ in range(3)]
    found = await outcomes(grouped(proxied), messages)
    assert sorted(one for one in found if isinstance(one, int)) == list(range(1, 61))
    assert sum(isinstance(one, AppendConflict) for one in found) == 120
    sent = batches(proxy)
    assert sent
    assert all(len(set(filters)) == len(filters) <= GROUP_AT_MOST for filters in sent)


async def test_every_append_expects_its_own_subject_and_nothing_else(
    proxy: NatsProxy, proxied: Client
) -> None:
    messages = [creation() for _ in range(30)]
    await outcomes(grouped(proxied), messages)
    appended = [frame for frame in proxy.published if b" towpath.append." in frame[:40]]
    assert len(appended) == 30
    for frame in appended:
        task_id = frame.split(b" ", 2)[1].decode().split(".")[3]
        assert header(frame, b"Nats-Expected-Last-Subject-Sequence-Subject") == f"towpath.task.{task_id}.*"
        assert header(frame, b"Nats-Expected-Last-Subject-Sequence") == "0"
        assert header(frame, b"Nats-Msg-Id") == header(frame, b"ce-id")


@pytest.mark.parametrize("place", [0, 20, 39])
async def test_one_conflict_in_a_batch_refuses_only_its_own(
    js_connection: Client, proxied: Client, proxy: NatsProxy, place: int
) -> None:
    taken = creation()
    await grouped(js_connection).append(taken)
    messages = [creation() for _ in range(40)]
    messages[place] = creation(taken.recorded(0).subject_id)
    found = await outcomes(grouped(proxied), messages)
    assert isinstance(found.pop(place), AppendConflict)
    assert sorted(found) == list(range(2, 41))
    assert batches(proxy)


async def test_a_message_that_stands_already_keeps_its_place(js_connection: Client) -> None:
    """Its id is known: that refuses the batch, and the append learns where it stands."""
    appender = grouped(js_connection)
    stands = creation()
    assert await appender.append(stands) == 1
    found = await outcomes(appender, [stands, *(creation() for _ in range(30))])
    assert found[0] == 1
    assert sorted(found[1:]) == list(range(2, 32))


async def test_many_waiting_appends_of_one_filter_go_one_by_one(proxy: NatsProxy, proxied: Client) -> None:
    task = new_id()
    found = await outcomes(grouped(proxied), [creation(task) for _ in range(WHERE_SYNCED.from_waiting * 2)])
    assert found.count(1) == 1
    assert sum(isinstance(one, AppendConflict) for one in found) == WHERE_SYNCED.from_waiting * 2 - 1
    assert all(len(filters) == 1 for filters in batches(proxy))


async def test_a_canceled_append_leaves_the_others_alone(js_connection: Client) -> None:
    appender = grouped(js_connection)
    waiting = [asyncio.create_task(appender.append(creation())) for _ in range(60)]
    await asyncio.sleep(0)
    for one in waiting[::3]:
        one.cancel()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    left = [one for one in found if isinstance(one, int)]
    assert len(left) == len(set(left)) == 40
    await asyncio.wait_for(appender.close(), 5)


async def test_stop_waits_for_what_is_in_flight(js_connection: Client) -> None:
    appender = grouped(js_connection)
    waiting = [asyncio.create_task(appender.append(creation())) for _ in range(50)]
    await asyncio.sleep(0)
    await appender.close()
    assert (await api(js_connection, "STREAM.INFO.TOWPATH"))["state"]["last_seq"] == 50
    assert sorted(await asyncio.wait_for(asyncio.gather(*waiting), 1)) == list(range(1, 51))


async def test_stop_does_not_wait_for_what_was_given_up(js_connection: Client) -> None:
    appender = grouped(js_connection)
    appending = asyncio.create_task(appender.append(creation()))
    await asyncio.sleep(0)
    appending.cancel()
    async with asyncio.timeout(5):
        await appender.close()
    assert (await api(js_connection, "STREAM.INFO.TOWPATH"))["state"]["last_seq"] == 0


@pytest.mark.parametrize("kind", ["single", "grouped"])
async def test_a_full_log_refuses_and_records_nothing(nats_server: EmbeddedNats, kind: str) -> None:
    nc = await connect(nats_server.control_url)
    await ensure_streams(nc, max_bytes=64 * 1024)
    one = SingleAppender(nc, JetStreamApi(nc))
    appender = one if kind == "single" else GroupAppender(nc, one, new_id)
    found = await asyncio.gather(
        *(appender.append(creation(title="x" * 1000)) for _ in range(100)), return_exceptions=True
    )
    taken = [one for one in found if isinstance(one, int)]
    refused = [one for one in found if not isinstance(one, int)]
    assert refused
    assert {type(one) for one in refused} == {LogFull}
    state = (await api(nc, "STREAM.INFO.TOWPATH"))["state"]
    assert sorted(taken) == list(range(1, state["last_seq"] + 1))
    assert state["messages"] == len(taken) == 100 - len(refused)
    with pytest.raises(LogFull):
        await appender.append(creation(title="x" * 1000))
    await nc.close()
