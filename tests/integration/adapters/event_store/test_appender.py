"""An append whose outcome is unknown: the event stands exactly once, and the caller learns where."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from nats.aio.client import Client

from adapters.event_store.appender import SETTLE_SECONDS, SingleAppender
from adapters.event_store.group_appender import GroupAppender
from adapters.event_store.lock_and_workspace_log import AppenderLockLog, AppenderWorkspaceLog
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.nats.jetstream_api import REQUEST_SECONDS, JetStreamApi, LogUnreachable
from domain.errors import Invalid
from domain.locks.claims import FIRST_CHAIN, LockFact
from domain.log.events import GrantedData
from domain.ports.log import AppendConflict, Appender
from infra.nats.embedded_server import EmbeddedNats
from tests.support.messages import creation, new_id, now
from tests.support.nats import subjects
from tests.support.servers.nats_proxy import CUT, DROP, PASS, NatsProxy, is_ack, on_acks
from tests.support.waiting import eventually


def single(
    connection: Client,
    settle_seconds: float = SETTLE_SECONDS,
    request_seconds: float = 0.5,
    read_seconds: float = REQUEST_SECONDS,
) -> SingleAppender:
    """Half a second instead of five for an acknowledgement."""
    return SingleAppender(
        connection,
        JetStreamApi(connection, request_seconds=read_seconds),
        settle_seconds=settle_seconds,
        request_seconds=request_seconds,
    )


@pytest.fixture(params=["single", "grouped"])
def make(request: pytest.FixtureRequest, proxied: Client) -> Callable[..., Appender]:
    def make(**timing: float) -> Appender:
        one = single(proxied, **timing)
        return one if request.param == "single" else GroupAppender(proxied, one, new_id)

    return make


@pytest.fixture
def appender(make: Callable[..., Appender]) -> Appender:
    return make()


async def stored(connection: Client) -> int:
    return sum((await subjects(connection, "TOWPATH")).values())


@pytest.mark.parametrize("action", [DROP, CUT])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_lost_acknowledgement_is_read_back(
    proxy: NatsProxy, js_connection: Client, appender: Appender, action: str, times: int
) -> None:
    first = await appender.append(creation())
    proxy.rule = on_acks(action, times)
    assert await appender.append(creation()) == first + 1
    assert await stored(js_connection) == 2


async def append_lock_fact(proxied: Client, appender: Appender) -> int:
    data = GrantedData(task_id=new_id(), attempt=1, root="/srv", paths=[], mode="exclusive", seen_seq=0)
    fact = LockFact("acme", "granted", data, 0, 1, FIRST_CHAIN)
    return (await AppenderLockLog(appender, new_id).append_lock(fact, at=now(), actor="locks")).seq


async def append_registration(proxied: Client, appender: Appender) -> int:
    log = AppenderWorkspaceLog(JetStreamEvents(JetStreamApi(proxied)).last_registration, appender, new_id)
    registered = await log.append_registered("acme", None, "/srv", "fail", at=now(), actor="api")
    return registered.seq


@pytest.mark.parametrize("action", [DROP, CUT])
@pytest.mark.parametrize("append", [append_lock_fact, append_registration])
async def test_lock_facts_and_registrations_are_read_back_too(
    proxy: NatsProxy,
    proxied: Client,
    js_connection: Client,
    appender: Appender,
    action: str,
    append: Callable[[Client, Appender], Awaitable[int]],
) -> None:
    await appender.append(creation())
    proxy.rule = on_acks(action, 2)
    assert await append(proxied, appender) == 2
    assert await stored(js_connection) == 2
    with pytest.raises(AppendConflict):
        await append(proxied, appender)
    assert await stored(js_connection) == 2


@pytest.mark.parametrize("action", [DROP, CUT])
async def test_a_whole_batch_whose_acknowledgement_is_lost_is_read_back(
    proxy: NatsProxy, proxied: Client, js_connection: Client, action: str
) -> None:
    grouped = GroupAppender(proxied, single(proxied), new_id)
    messages = [creation() for _ in range(40)]
    proxy.rule = on_acks(action, 1)
    seqs = await asyncio.gather(*map(grouped.append, messages))
    assert sorted(seqs) == list(range(1, 41))
    for message, seq in zip(messages, seqs, strict=True):
        raw = await JetStreamApi(js_connection).get(seq)
        assert raw is not None
        assert raw.headers["ce-id"] == message.id


async def test_without_a_single_acknowledgement_every_event_is_found(
    proxy: NatsProxy, js_connection: Client, appender: Appender
) -> None:
    proxy.rule = lambda frame: DROP if is_ack(frame) else PASS
    waiting = [asyncio.create_task(appender.append(creation())) for _ in range(3)]
    assert sorted(await asyncio.gather(*waiting)) == [1, 2, 3]
    assert await stored(js_connection) == 3


async def test_after_a_lost_acknowledgement_another_event_may_follow(
    proxy: NatsProxy, js_connection: Client, appender: Appender
) -> None:
    """What follows ours must not be taken for a conflict."""
    message = creation()
    held = asyncio.Event()

    def rule(frame: bytes) -> str:
        if held.is_set() or not is_ack(frame):
            return PASS
        held.set()
        return DROP

    proxy.rule = rule
    waiting = asyncio.create_task(appender.append(message))
    await held.wait()
    rival = single(js_connection)
    second = await rival.append(creation(message.recorded(0).subject_id, expected_seq=1, version=2))
    assert await waiting == 1
    assert second == 2


async def test_a_conflict_behind_a_lost_acknowledgement_is_a_conflict(
    proxy: NatsProxy, js_connection: Client, appender: Appender
) -> None:
    rival = creation()
    await single(js_connection).append(rival)
    lost = []

    def rule(frame: bytes) -> str:
        if b'"err_code"' in frame and not lost:
            lost.append(frame)
            return DROP
        return PASS

    proxy.rule = rule
    with pytest.raises(AppendConflict):
        await appender.append(creation(rival.recorded(0).subject_id))
    assert lost
    assert await stored(js_connection) == 1


async def test_without_any_answer_the_outcome_stays_unknown_and_the_event_stands_once(
    proxy: NatsProxy, js_connection: Client, make: Callable[..., Appender]
) -> None:
    appender = make(settle_seconds=0.5, read_seconds=0.3)
    await appender.append(creation())
    proxy.rule = lambda frame: DROP if frame.startswith((b"MSG", b"HMSG")) else PASS
    message = creation()
    with pytest.raises(LogUnreachable):
        await appender.append(message)
    proxy.rule = lambda _: PASS
    assert await appender.append(message) == 2
    assert await stored(js_connection) == 2


async def test_a_connection_that_is_cut_delays_an_append_less_than_its_timeout(
    proxy: NatsProxy, make: Callable[..., Appender]
) -> None:
    """The reply went to the old connection: waiting for it would be in vain."""
    appender = make(request_seconds=60.0)
    proxy.rule = on_acks(CUT)
    assert await asyncio.wait_for(appender.append(creation()), 10) == 1


async def test_an_event_that_nats_would_not_take_is_refused_before_it_is_sent(
    proxied: Client, appender: Appender
) -> None:
    """The server would close the connection, and with it everything else on it."""
    for size in (proxied.max_payload - 200, 2 * proxied.max_payload):
        with pytest.raises(Invalid):
            await appender.append(creation(title="x" * size))
    assert await appender.append(creation()) == 1
    assert not proxied.is_closed


async def test_while_nats_is_away_no_request_leaves_anything_behind(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    one = single(js_connection)
    await one.append(creation())
    before = len(js_connection._resp_map or {})
    nats_server.stop()
    await eventually(lambda: not js_connection.is_connected)
    waiting = [asyncio.create_task(one.append(creation())) for _ in range(10)]
    await asyncio.wait(waiting, timeout=0.3)
    nats_server.start()
    assert sorted(await asyncio.gather(*waiting)) == list(range(2, 12))
    assert len(js_connection._resp_map or {}) == before
    assert not one.replies._open
