"""Work queues as a projector runs them, on a connection of their own beside a test's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from faststream.nats import NatsBroker
from nats.aio.client import Client

from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.work_queue import FastStreamQueues
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.queues import Due
from infra.nats.subscribers import Consumers, MakeBroker, Subscribers


def broker_beside(connection: Client) -> MakeBroker:
    """Makes brokers that connect to the servers of `connection`, as the same user."""
    servers = [url.geturl() for url in connection.servers]
    return partial(NatsBroker, servers, pending_size=0, max_reconnect_attempts=-1, reconnect_time_wait=0.05)


async def run_consumers(connection: Client, consumers: Consumers) -> None:
    """Take and handle until this is cancelled."""
    async with Subscribers(broker_beside(connection), consumers) as subscribers:
        await subscribers.run()


async def take_events(
    connection: Client,
    name: str,
    wanted: Sequence[EventFilter],
    handle: Callable[[Recorded], Awaitable[None]],
) -> None:
    """Work on one queue of events until this is cancelled."""
    queues = FastStreamQueues(JetStreamDeadLetters(connection))
    queues.events(name, wanted, handle)
    await run_consumers(connection, queues)


async def take_deadlines(connection: Client, kind: str, handle: Callable[[Due], Awaitable[None]]) -> None:
    """Work on one kind of deadlines until this is cancelled."""
    queues = FastStreamQueues(JetStreamDeadLetters(connection))
    queues.deadlines(kind, handle)
    await run_consumers(connection, queues)
