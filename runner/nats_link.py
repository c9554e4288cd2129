"""The runner's NATS connection, made in the background and kept.

No publish buffer (`pending_size=0`): a publish that failed while disconnected must not be stored later, after
its retry. Reconnects are unlimited; users of the connection wait with a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most

NATS_TROUBLE = (nats.errors.Error, OSError, TimeoutError)
CONNECT_RETRY_SECONDS = 1.0
CLOSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class NatsLink:
    """`start` begins to connect; `client` and `jetstream` wait for the connection."""

    def __init__(
        self, url: str, options: Mapping[str, Any], name: str, new_client: Callable[[], Client] = Client
    ) -> None:
        """`new_client` makes nats-py's client, or one with its interface."""
        self._servers = [server.strip() for server in url.split(",")]
        self._options = {**options, "name": name}
        self._new_client = new_client
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._on_connected: list[Callable[[], None]] = []

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every (re)connect: messages sent meanwhile were missed."""
        self._on_connected.append(callback)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._connect(), name="nats-connect")

    async def ready(self, seconds: float) -> bool:
        """Whether the connection was established within `seconds`."""
        await wait_at_most(self._ready, seconds)
        return self._ready.is_set()

    def is_ready(self) -> bool:
        """Whether a client exists, perhaps one that is reconnecting."""
        return self._ready.is_set() and not self._closing

    async def client(self) -> Client:
        await self._ready.wait()
        assert self._client is not None
        return self._client

    async def jetstream(self, timeout: float = 5.0) -> JetStreamContext:
        return (await self.client()).jetstream(timeout=timeout)

    async def stop(self) -> None:
        self._closing = True
        if self._task is not None:
            await end_tasks([self._task])
        if self._client is not None:
            with contextlib.suppress(*NATS_TROUBLE):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._client.close()

    async def _connect(self) -> None:
        while True:
            client = self._new_client()
            try:
                await client.connect(
                    servers=self._servers,
                    pending_size=0,
                    max_reconnect_attempts=-1,
                    ping_interval=5,
                    max_outstanding_pings=2,
                    reconnect_time_wait=1,
                    error_cb=self._failed,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._connected,
                    closed_cb=self._closed,
                    **self._options,
                )
                break
            except NATS_TROUBLE as error:
                log.warning("nats connection refused, trying again", error=str(error))
                await asyncio.sleep(CONNECT_RETRY_SECONDS)
        self._client = client
        self._ready.set()
        await self._connected()

    async def _connected(self) -> None:
        log.info("nats connected")
        for callback in self._on_connected:
            callback()

    async def _disconnected(self) -> None:
        if not self._closing:
            log.warning("nats disconnected")

    async def _closed(self) -> None:
        """Start with a new client: nats-py has given up, as after a rejected login."""
        if not self._closing and self._ready.is_set():
            log.warning("nats connection closed, connecting anew")
            self._ready.clear()
            await self.start()

    async def _failed(self, error: Exception) -> None:
        log.warning("nats error", error=f"{type(error).__name__} {error}".strip())
