"""A factory's connection to NATS as recorders use it: synchronous, bounded, with the library's own errors.

Opened by the first call, so that making a factory opens nothing. Nothing is buffered while disconnected:
a write that was reported as failed must not be stored later. The client never gives up by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nats.errors
from eventsourcing.persistence import OperationalError, ProgrammingError
from nats.aio.client import Client

from adapters.eventsourcing.loop_thread import LoopGone, LoopThread
from adapters.nats.client import FastClient

CLOSE_SECONDS = 5.0
CONNECT_SECONDS = 2
T = TypeVar("T")


@dataclass(frozen=True)
class NatsServers:
    """Where NATS is and who we are there. `timeout`: seconds within which each call answers or fails."""

    urls: tuple[str, ...]
    timeout: float
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None


class Link:
    """One connection in one background thread; any number of threads may call at once, and `close` it.

    Where nobody closes it, it is closed when it is garbage collected, or when the program ends.
    """

    def __init__(self, servers: NatsServers) -> None:
        self._servers = servers
        self._wire: _Wire | None = None
        self._guard = threading.Lock()
        self._closed = False

    def call(self, work: Callable[[Client], Coroutine[Any, Any, T]], why: Callable[[], str] = str) -> T:
        """The result of `work(client)` within the timeout; `why` adds what NATS said last.

        Raises:
            OperationalError: NATS did not answer or is not reachable; what was being written may be stored.
            ProgrammingError: the link is closed or was made before a fork.
        """
        wire = self._opened()
        try:
            return wire.thread.run(lambda: wire.work(work), self._servers.timeout)
        except LoopGone as gone:
            raise ProgrammingError(f"the connection to NATS cannot be used: {gone}") from gone
        except (TimeoutError, nats.errors.Error, OSError) as error:
            said = why() or repr(error)
            raise OperationalError(
                f"NATS did not do it within {self._servers.timeout:g} s ({said}). Where it was a "
                "write, it is stored as a whole or not at all: load again to see"
            ) from error

    def close(self) -> None:
        """Close the connection and end the thread. Calls that wait fail."""
        with self._guard:
            self._closed = True
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.finalizer()

    def _opened(self) -> _Wire:
        with self._guard:
            if self._closed:
                raise ProgrammingError("the connection to NATS is closed: make a new application or factory")
            if self._wire is None:
                self._wire = wire = _Wire(self._servers)
                wire.finalizer = weakref.finalize(self, wire.close)
            return self._wire


class _Wire:
    """What must not refer back to the Link, so that the Link can be collected."""

    finalizer: Callable[[], object]

    def __init__(self, servers: NatsServers) -> None:
        self._servers = servers
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._last_error: Exception | None = None
        self.thread = LoopThread("eventsourcing-nats")

    async def work(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        if self._client is None:
            async with self._opening:
                if self._client is None:
                    self._client = await self._connect()
        return await work(self._client)

    def close(self) -> None:
        self.thread.close(self._farewell, CLOSE_SECONDS)

    async def _farewell(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _connect(self) -> Client:
        servers = self._servers
        tls = ssl.create_default_context(cafile=str(servers.ca_file)) if servers.ca_file else None
        client = FastClient()
        try:
            await client.connect(
                servers=list(servers.urls),
                name="eventsourcing",
                pending_size=0,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=self._note,
                user=servers.user,
                password=servers.password,
                tls=tls,
            )
        except asyncio.CancelledError:  # the deadline: nats-py itself tries the first connection for ever
            with contextlib.suppress(Exception):
                await client.close()
            raise OperationalError(
                f"no NATS server answers at NATS_URL within {servers.timeout:g} s: {self._last_error!r}"
            ) from None
        return client

    async def _note(self, error: Exception) -> None:
        self._last_error = error
