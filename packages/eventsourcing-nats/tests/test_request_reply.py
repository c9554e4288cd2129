"""Requests over one connection: each ends with a reply, or with an error that allows to ask again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from eventsourcing_nats.request_reply import RequestReply, Unanswered
from infra.nats.embedded_server import EmbeddedNats
from tests.support.servers.nats_proxy import DROP, PASS, NatsProxy
from tests.support.waiting import eventually

SOON_SECONDS, NEVER_SECONDS = 0.3, 3600.0


@pytest.fixture
async def proxy(nats_server: EmbeddedNats) -> AsyncIterator[NatsProxy]:
    async with NatsProxy(nats_server.control_url) as running:
        yield running


async def connected(url: str, answer_seconds: float) -> RequestReply:
    client = Client()
    requests = RequestReply(client, answer_seconds)
    await client.connect(
        url,
        pending_size=0,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
        disconnected_cb=requests.connection_lost,
    )
    await requests.use(client)
    return requests


async def test_a_request_ends_with_its_connection_and_not_with_its_time(proxy: NatsProxy) -> None:
    requests = await connected(proxy.url, NEVER_SECONDS)
    assert "streams" in await requests.api("INFO")
    proxy.rule = lambda frame: DROP if frame.startswith((b"MSG", b"HMSG")) else PASS
    asking = asyncio.create_task(requests.api("INFO"))
    await eventually(lambda: proxy.subjects() == ["$JS.API.INFO"] * 2)
    proxy.cut()
    with pytest.raises(Unanswered, match="connection was lost"):
        await asyncio.wait_for(asking, 20)
    proxy.rule = lambda _: PASS
    assert "streams" in await asyncio.wait_for(requests.until_answered(lambda: requests.api("INFO")), 20)
    await requests.client.close()


async def test_without_a_reply_a_request_ends_in_time(proxy: NatsProxy) -> None:
    requests = await connected(proxy.url, SOON_SECONDS)
    proxy.rule = lambda frame: DROP if frame.startswith((b"MSG", b"HMSG")) else PASS
    with pytest.raises(Unanswered, match="no reply in time"):
        await requests.api("INFO")
    await requests.client.close()


async def test_a_subject_without_listeners_is_told_at_once(nats_server: EmbeddedNats) -> None:
    requests = await connected(nats_server.control_url, NEVER_SECONDS)
    with pytest.raises(Unanswered, match="nothing answers on"):
        await asyncio.wait_for(requests.ask("towpath.test.unheard", b""), 20)
    await requests.client.close()


async def test_a_reply_of_many_messages_ends_at_its_count_or_at_a_status(nats_server: EmbeddedNats) -> None:
    requests = await connected(nats_server.control_url, NEVER_SECONDS)

    async def answer(message) -> None:
        for number in range(5):
            await requests.client.publish(message.reply, b"%d" % number)
        await requests.client.publish(message.reply, b"", headers={"Status": "204"})

    await requests.client.subscribe("towpath.test.many", cb=answer)
    three = await requests.collect("towpath.test.many", b"", 3)
    assert [message.data for message in three] == [b"0", b"1", b"2"]
    everything = await requests.collect("towpath.test.many", b"", 100)
    assert [message.data for message in everything] == [b"0", b"1", b"2", b"3", b"4", b""]
    await requests.client.close()
