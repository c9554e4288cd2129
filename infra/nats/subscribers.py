"""Runs FastStream subscribers on a connection of their own, through outages of NATS.

FastStream 0.7.8 does not survive outages: while NATS is away its pull loop retries without a pause, a deleted
consumer is never made again, and after `authorization violation` its error callback stops the client's
reconnects. So the subscribers are stopped and started with the connection, a lost consumer is made again, and
a closed connection is replaced, all through FastStream's own `start` and `stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import nats.errors
import structlog
from faststream.nats import NatsBroker
from faststream.nats.broker.broker import UNRECOVERABLE_CONNECT_ERRORS
from faststream.nats.security import NatsSecurity, NatsToken, NatsUserPassword
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from faststream.security import BaseSecurity
from nats.js.errors import NotFoundError

from domain.errors import Busy
from infra.config.settings import Settings
from infra.nats.connection import connect_options

CHECK_SECONDS = 2.0
RETRY_SECONDS = 0.5
START_SECONDS = 10.0
MOST_TASKS = 100
AWAY = "NATS is away, subscribers wait until it is back"
BACK = "NATS is back, subscribers take messages again"
MakeBroker = Callable[..., NatsBroker]
log = structlog.get_logger(__name__)


def make_broker(settings: Settings, name: str, **callbacks: Any) -> NatsBroker:
    """A broker named `name` that connects like `infra.nats.connection.connect`."""
    options = {**connect_options(settings), "name": name, **callbacks}
    tls = options.pop("tls", None)
    security: BaseSecurity = NatsSecurity(ssl_context=tls)
    if "user" in options:
        security = NatsUserPassword(options.pop("user"), options.pop("password"), ssl_context=tls)
    elif "token" in options:
        security = NatsToken(options.pop("token"), ssl_context=tls)
    return NatsBroker(security=security, **options)


class Consumers(Protocol):
    """Handlers of the subscribers' messages."""

    def subscribe(self, broker: NatsBroker) -> None:
        """Declare the subscribers; again on another broker, if the previous one was given up."""
        ...

    async def stop(self) -> None:
        """Settle started messages and return the others, while the connection is still open."""
        ...


class Subscribers:
    """The subscribers of one process, on the broker that `make_broker(**callbacks)` makes."""

    def __init__(self, make_broker: MakeBroker, consumers: Consumers) -> None:
        self._make_broker = make_broker
        self._consumers = consumers
        self._broker: NatsBroker | None = None
        self._changed = asyncio.Event()
        self._over = False
        self._away = False

    @property
    def connected(self) -> bool:
        """Whether messages can arrive."""
        return self._broker is not None and self._broker.connection.is_connected

    @property
    def subscribers(self) -> list[PullStreamSubscriber]:
        """FastStream's subscribers; empty without a broker."""
        declared = self._broker.subscribers if self._broker is not None else ()
        return [one for one in declared if isinstance(one, PullStreamSubscriber)]

    async def start(self) -> None:
        """Connect and subscribe; the streams must exist.

        Raises:
            Busy: the queues could not be opened; start again.
        """
        if self._broker is not None:
            return
        self._over = False
        broker = self._make_broker(
            logger=None,
            apply_types=False,
            graceful_timeout=None,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
        )
        self._consumers.subscribe(broker)
        try:
            async with asyncio.timeout(START_SECONDS):
                await broker.connect()
                self._broker = broker
                await broker.start()
        except asyncio.CancelledError:
            await self.stop()
            raise
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await self.stop()
            why = f"the queues on NATS cannot be opened ({error!r})"
            raise Busy("log-unreachable", f"{why}; is JetStream up? Start again in a moment") from error

    async def __aenter__(self) -> Subscribers:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run(self) -> None:
        """Keep started subscribers running through outages; never returns."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._look()
            except (nats.errors.Error, Busy) as error:
                log.debug("subscribers cannot be started, trying until they can", error=repr(error))
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def stop(self) -> None:
        """Settle the received messages, then close the connection; may be called twice."""
        broker = self._broker
        if broker is None:
            return
        await self._consumers.stop()
        await self._pause()
        self._broker = None
        with contextlib.suppress(nats.errors.Error, OSError, RuntimeError):  # also writing to a lost one
            await broker.connection.close()  # `broker.stop` would wait for an answer, also of a frozen server

    async def _look(self) -> None:
        if self._over:
            await self.stop()
        if self._broker is None:
            await self.start()
        if not self.connected:
            return
        for subscriber in self.subscribers:
            if subscriber.running and await _is_lost(subscriber):
                await subscriber.stop()
            if not subscriber.running:
                await subscriber.start()
        if not self.connected:
            await self._pause()
        elif self._away:
            self._away = False
            log.info(BACK)

    async def _pause(self) -> None:
        for subscriber in self.subscribers:
            with contextlib.suppress(nats.errors.Error):
                await subscriber.stop()

    async def _on_error(self, error: Exception) -> None:
        log.debug("nats", error=repr(error))
        if str(error).removeprefix("nats: ").strip("'").lower() in UNRECOVERABLE_CONNECT_ERRORS:
            self._over = True  # FastStream raises it, and that stops the client's reconnects
            self._changed.set()

    async def _on_disconnected(self) -> None:
        if self._broker is not None:
            if not self._away:
                log.warning(AWAY)
            self._away = True
            await self._pause()  # at once: with a closed client, the pull loop would never yield again

    async def _on_reconnected(self) -> None:
        self._changed.set()

    async def _on_closed(self) -> None:
        self._over = True
        self._changed.set()


async def _is_lost(subscriber: PullStreamSubscriber) -> bool:
    """Whether its consumer is gone, or FastStream has restarted its pull loop too often to keep them all."""
    assert subscriber.subscription is not None
    try:
        await subscriber.subscription.consumer_info()
    except NotFoundError:
        log.warning("a consumer was deleted, it is made again", stream=subscriber.stream.name)
        return True
    return len(subscriber.tasks) > MOST_TASKS
