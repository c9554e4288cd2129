"""Durable queues: at least once, shared, and one poisoned message never stops the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from nats.aio.client import Client

from adapters.event_store.appender import SingleAppender
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from adapters.nats.pull_consumer import PullTiming
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.durable_consumer import ConsumerTiming
from adapters.queues.timers import JetStreamTimers
from adapters.queues.work_queue import JetStreamDueQueue, JetStreamEventQueue, QueuePolicy
from domain.backoff import Backoff
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.queues import Deadline, Due
from infra.nats.embedded_server import EmbeddedNats
from tests.support.messages import creation, new_id, now
from tests.support.nats import api, connect, pulls, subjects
from tests.support.waiting import eventually

CREATED = (EventFilter("task", event="created"),)
Handle = Callable[[Recorded], Awaitable[None]]


IMPATIENT = QueuePolicy(
    most_deliveries=3,
    retry=Backoff(first_seconds=0.02),
    ack_wait_seconds=1.0,
    progress_seconds=0.2,
    consumer=ConsumerTiming(reopen_seconds=0.01),
)

PATIENT = replace(IMPATIENT, ack_wait_seconds=30.0)
"""Where deliveries are counted: a machine that is busy for a second brings no further one."""


def event_queue(connection: Client, policy: QueuePolicy = IMPATIENT) -> JetStreamEventQueue:
    return JetStreamEventQueue(connection, JetStreamDeadLetters(connection), "test", CREATED, policy)


def due_queue(connection: Client) -> JetStreamDueQueue:
    return JetStreamDueQueue(connection, JetStreamDeadLetters(connection), "submit", IMPATIENT)


@asynccontextmanager
async def consuming(
    connection: Client, handle: Handle, policy: QueuePolicy = IMPATIENT
) -> AsyncIterator[asyncio.Task[None]]:
    queue = event_queue(connection, policy)
    task = asyncio.create_task(queue.consume(handle))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 5)


async def append(connection: Client, title: str = "demo") -> str:
    message = creation(title=title)
    await SingleAppender(connection, JetStreamApi(connection)).append(message)
    return message.subject.split(".")[2]


async def unsettled(connection: Client) -> int:
    """Messages that are waiting or under way."""
    info = await api(connection, "CONSUMER.INFO.TOWPATH.test")
    return int(info["num_ack_pending"] + info["num_pending"])


async def test_a_poisoned_message_is_kept_and_the_rest_goes_on(js_connection: Client) -> None:
    poisoned = await append(js_connection, "poison")
    rest = [await append(js_connection) for _ in range(5)]
    tries: list[str] = []

    async def handle(event: Recorded) -> None:
        tries.append(event.subject_id)
        if event.subject_id == poisoned:
            raise KeyError("what is this")

    async with consuming(js_connection, handle, PATIENT):
        await eventually(lambda: subjects(js_connection, "TOWPATH_DEAD"))
        await eventually(lambda: _none_left(js_connection))
    assert tries.count(poisoned) == 3
    assert set(tries) == {poisoned, *rest}
    letter = await JetStreamApi(js_connection, "TOWPATH_DEAD").last("towpath.dead.>")
    assert letter is not None
    assert letter.subject == f"towpath.dead.test.{poisoned}"
    assert letter.headers["towpath-reason"] == "not-handled"
    assert "what is this" in letter.headers["towpath-detail"]
    assert b'"poison"' in letter.data


async def test_while_the_log_is_away_nothing_becomes_a_dead_letter(js_connection: Client) -> None:
    """The message is all right: a grant among the dead letters would hold its lock for ever."""
    task_id = await append(js_connection)
    tries: list[str] = []

    async def handle(event: Recorded) -> None:
        tries.append(event.subject_id)
        if len(tries) < 8:
            raise LogUnreachable

    async with consuming(js_connection, handle):
        await eventually(lambda: len(tries) >= 8)
        await eventually(lambda: _none_left(js_connection))
    assert set(tries) == {task_id}
    assert await subjects(js_connection, "TOWPATH_DEAD") == {}


async def test_a_long_handler_keeps_its_message(js_connection: Client) -> None:
    await append(js_connection)
    started: list[int] = []
    enough = asyncio.Event()

    async def handle(event: Recorded) -> None:
        started.append(event.seq)
        await enough.wait()

    async with consuming(js_connection, handle), consuming(js_connection, handle):
        await eventually(lambda: started)
        await asyncio.wait({asyncio.create_task(enough.wait())}, timeout=2.5)
        assert started == [1]
        enough.set()
        await eventually(lambda: _none_left(js_connection))


async def test_a_handler_outlives_a_lost_connection_and_runs_alone(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    """What it told the server got lost: it must neither be abandoned nor its end go unseen."""
    await append(js_connection)
    enough = asyncio.Event()
    ended: list[int] = []

    async def handle(event: Recorded) -> None:
        await enough.wait()
        ended.append(event.seq)

    async with consuming(js_connection, handle) as task:
        await eventually(lambda: _under_way(js_connection))
        nats_server.stop()
        await asyncio.wait({task}, timeout=0.6)
        nats_server.start()
        await eventually(lambda: js_connection.is_connected)
        enough.set()
        await eventually(lambda: _none_left(js_connection))
    assert set(ended) == {1}


async def test_a_canceled_queue_leaves_no_handler_behind(js_connection: Client) -> None:
    await append(js_connection)
    running: list[bool] = []

    async def handle(_: Recorded) -> None:
        running.append(True)
        try:
            await asyncio.Event().wait()
        finally:
            running.append(False)

    async with consuming(js_connection, handle):
        await eventually(lambda: running)
    assert running == [True, False]


async def test_a_message_comes_again_after_a_crash(nats_server: EmbeddedNats, js_connection: Client) -> None:
    task_id = await append(js_connection)
    taken = asyncio.Event()

    async def hang(_: Recorded) -> None:
        taken.set()
        await asyncio.Event().wait()

    async with consuming(js_connection, hang):
        await taken.wait()
    again: list[str] = []

    async def handle(event: Recorded) -> None:
        again.append(event.subject_id)

    other = await connect(nats_server.control_url)
    async with consuming(other, handle):
        await eventually(lambda: again == [task_id])
        await eventually(lambda: _none_left(js_connection))
    await other.close()


async def test_it_survives_restarts_and_a_deleted_consumer(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    handled: set[str] = set()

    async def handle(event: Recorded) -> None:
        handled.add(event.subject_id)

    async with consuming(js_connection, handle):
        first = await append(js_connection)
        await eventually(lambda: handled == {first})
        nats_server.stop()
        nats_server.start()
        await eventually(lambda: js_connection.is_connected)
        second = await append(js_connection)
        await eventually(lambda: handled == {first, second})
        await js_connection.jetstream().delete_consumer("TOWPATH", "test")
        third = await append(js_connection)
        await eventually(lambda: handled == {first, second, third}, 20)
        assert len(js_connection._subs) < 8, "each new start left a subscription"


async def test_many_messages_are_shared_and_all_handled(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    ids = set(await asyncio.gather(*(append(js_connection) for _ in range(300))))
    by: list[list[str]] = [[], []]

    def handler(number: int) -> Handle:
        async def handle(event: Recorded) -> None:
            by[number].append(event.subject_id)
            await unsettled(js_connection)  # takes a moment, so that both have their share

        return handle

    other = await connect(nats_server.control_url)
    async with (
        consuming(js_connection, handler(0), PATIENT),
        consuming(other, handler(1), PATIENT),
    ):
        await eventually(lambda: set(by[0] + by[1]) == ids, 20)
        await eventually(lambda: _none_left(js_connection))
    assert all(by)
    assert len(by[0] + by[1]) == 300
    await other.close()


async def test_an_idle_queue_has_one_request_under_way(js_connection: Client) -> None:
    """Also after many have run out: the server ends each, and only then the next one is made."""
    pull = PullTiming(request_seconds=0.2, heartbeat_seconds=0.1)
    short = replace(IMPATIENT, consumer=ConsumerTiming(reopen_seconds=0.01, pull=pull))

    async def handle(_: Recorded) -> None:
        """Nothing comes."""

    async with consuming(js_connection, handle, short):
        requests = await pulls(js_connection, "TOWPATH", "test", 12)
        info = await api(js_connection, "CONSUMER.INFO.TOWPATH.test")
    assert info["num_waiting"] <= 1
    assert {one["expires"] for one in requests} == {200_000_000}


async def test_a_queue_asks_again_where_nothing_is_heard(
    nats_server: EmbeddedNats, js_connection: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was lost: no message, no heartbeat, no word that it is over."""
    pull = PullTiming(request_seconds=2.0, silent_seconds=0.5)
    wary = replace(IMPATIENT, consumer=ConsumerTiming(reopen_seconds=0.01, pull=pull))
    handled: list[str] = []

    async def handle(event: Recorded) -> None:
        handled.append(event.subject_id)

    publish, lost = js_connection.publish, []

    async def lossy(subject: str, *args: Any, **options: Any) -> None:
        if ".MSG.NEXT." in subject and not lost:
            lost.append(subject)
            return
        await publish(subject, *args, **options)

    monkeypatch.setattr(js_connection, "publish", lossy)
    async with consuming(js_connection, handle, wary):
        task_id = await append(js_connection)
        await eventually(lambda: handled == [task_id])
    assert lost


async def test_a_queue_without_room_keeps_its_consumer(js_connection: Client) -> None:
    """It has asked for nothing, so it need not hear anything."""
    pull = PullTiming(request_seconds=2.0, silent_seconds=0.3)
    timing = ConsumerTiming(check_seconds=0.05, reopen_seconds=0.01, pull=pull)
    narrow = replace(IMPATIENT, concurrency=4, consumer=timing)
    made = await js_connection.subscribe("$JS.API.CONSUMER.CREATE.TOWPATH.test")
    ids = {await append(js_connection) for _ in range(20)}
    enough = asyncio.Event()
    handled: set[str] = set()

    async def handle(event: Recorded) -> None:
        await enough.wait()
        handled.add(event.subject_id)

    async with consuming(js_connection, handle, narrow):
        await eventually(lambda: _under_way(js_connection))
        await asyncio.wait({asyncio.create_task(enough.wait())}, timeout=1)
        enough.set()
        await eventually(lambda: handled == ids)
    assert made.pending_msgs == 1


async def test_while_nats_is_away_no_subscriptions_pile_up(
    nats_server: EmbeddedNats, js_connection: Client
) -> None:
    handled: list[str] = []

    async def handle(event: Recorded) -> None:
        handled.append(event.subject_id)

    async with consuming(js_connection, handle):
        await append(js_connection)
        await eventually(lambda: handled)
        nats_server.stop()
        await eventually(lambda: not js_connection.is_connected)
        await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=1)
        waiting = [command for command in js_connection._pending if command.startswith(b"SUB")]
        assert len(waiting) <= 1
        nats_server.start()
        await append(js_connection)
        await eventually(lambda: len(handled) == 2)


async def test_one_cancellation_ends_a_queue_whatever_it_does(js_connection: Client) -> None:
    """Also in the turn in which its consumer is made."""

    async def handle(_: Recorded) -> None:
        """Nothing comes."""

    made = await js_connection.subscribe("$JS.API.CONSUMER.CREATE.TOWPATH.test")
    for turns in range(40):
        queue = event_queue(js_connection)
        task = asyncio.create_task(queue.consume(handle))
        await made.next_msg(5)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        assert (await asyncio.wait({task}, timeout=5))[0]


async def test_dead_deadlines_are_told_apart(js_connection: Client) -> None:
    deadlines = [Deadline("submit", new_id(), 1) for _ in range(2)]
    queue = due_queue(js_connection)

    async def handle(_: Due) -> None:
        raise KeyError("no such task")

    task = asyncio.create_task(queue.consume(handle))
    for one in deadlines:
        await JetStreamTimers(js_connection).arm(one, now() - timedelta(seconds=1))
    wanted = {f"towpath.dead.due-submit.{one.task_id}" for one in deadlines}
    await eventually(lambda: _dead_are(js_connection, wanted))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_deadline_brings_its_note_and_the_brokers_time(js_connection: Client) -> None:
    timers, deadline = JetStreamTimers(js_connection), Deadline("submit", new_id(), 7)
    queue = due_queue(js_connection)
    came: list[Due] = []

    async def handle(due: Due) -> None:
        came.append(due)

    at = now() + timedelta(seconds=1)
    await timers.arm(deadline, now() + timedelta(hours=1), b"replaced")
    await timers.arm(deadline, at, b"note")
    task = asyncio.create_task(queue.consume(handle))
    await eventually(lambda: came)
    assert [(due.deadline, due.note) for due in came] == [(deadline, b"note")]
    assert at - timedelta(milliseconds=5) <= came[0].at <= now()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _dead_are(connection: Client, wanted: set[str]) -> bool:
    return set(await subjects(connection, "TOWPATH_DEAD")) == wanted


async def _under_way(connection: Client) -> bool:
    return (await api(connection, "CONSUMER.INFO.TOWPATH.test")).get("num_ack_pending", 0) > 0


async def _none_left(connection: Client) -> bool:
    return await unsettled(connection) == 0
