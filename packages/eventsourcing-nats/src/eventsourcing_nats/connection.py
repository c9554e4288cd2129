"""A factory's connection to NATS as recorders use it: synchronous, bounded, with the library's own errors.

The first call opens it, so that making a factory opens nothing. Nothing is buffered while disconnected: a
write that was reported as failed must not be stored later. The client reconnects without end. Where a server
refuses it (while a password is changed, for example), nats-py closes it, and the next call makes another.
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

from eventsourcing_nats.loop_thread import LoopGone, LoopThread
from eventsourcing_nats.request_reply import RequestReply

CLOSE_SECONDS = 5.0
CONNECT_SECONDS = 2
LONGEST_ANSWER_SECONDS = 5.0
T = TypeVar("T")
Work = Callable[[RequestReply], Coroutine[Any, Any, T]]


@dataclass(frozen=True)
class NatsServers:
    """Where NATS is and who we are there. `timeout`: seconds within which each call answers or fails."""

    urls: tuple[str, ...]
    timeout: float
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None

    @property
    def answer_seconds(self) -> float:
        """How long one request waits before it is repeated or looked up, so that a call has several."""
        return min(self.timeout / 4, LONGEST_ANSWER_SECONDS)


class Connection:
    """One connection in one background thread; any number of threads may call it at once, and `close` it.

    Unless it is closed by a call, it closes when it is garbage collected or the program ends.
    """

    def __init__(self, servers: NatsServers) -> None:
        self._servers = servers
        self._wire: _Wire | None = None
        self._guard = threading.Lock()
        self._closed = False

    def call(self, work: Work[T]) -> T:
        """The result of `work` within the timeout.

        Raises:
            OperationalError: NATS did not answer or is not reachable; what was being written may be stored.
            ProgrammingError: the connection is closed or was made before a fork.
        """
        wire = self._opened()
        try:
            return wire.thread.run(lambda: wire.work(work), self._servers.timeout)
        except LoopGone as gone:
            raise ProgrammingError(f"the connection to NATS cannot be used: {gone}") from gone
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise OperationalError(
                f"NATS did not answer within {self._servers.timeout:g} s ({wire.trouble() or repr(error)}). "
                "A write is stored as a whole or not at all: load again to see"
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
    """What must not refer back to the Connection, so that the Connection can be collected."""

    finalizer: Callable[[], object]

    def __init__(self, servers: NatsServers) -> None:
        self._servers = servers
        self._requests: RequestReply | None = None
        self._opening = asyncio.Lock()
        self._last_error: Exception | None = None
        self.thread = LoopThread("eventsourcing-nats")

    async def work(self, work: Work[T]) -> T:
        requests = self._requests
        if requests is None or requests.client.is_closed:
            async with self._opening:
                requests = self._requests
                if requests is None or requests.client.is_closed:
                    requests = self._requests = await self._connect()
        return await work(requests)

    def trouble(self) -> str:
        """What went wrong last, "" where nothing did."""
        failure = self._requests.last_failure if self._requests is not None else ""
        return "; ".join(filter(None, [failure, str(self._last_error or "")]))

    def close(self) -> None:
        self.thread.close(self._farewell, CLOSE_SECONDS)

    async def _farewell(self) -> None:
        if self._requests is not None:
            await self._requests.client.close()

    async def _connect(self) -> RequestReply:
        servers = self._servers
        tls = ssl.create_default_context(cafile=str(servers.ca_file)) if servers.ca_file else None
        client = Client()
        requests = self._requests or RequestReply(client, servers.answer_seconds)
        try:
            await client.connect(
                servers=list(servers.urls),
                name="eventsourcing",
                pending_size=0,
                skip_subject_validation=True,  # all of them are made here, and it costs
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=self._note,
                disconnected_cb=requests.connection_lost,
                reconnected_cb=self._forget,
                user=servers.user,
                password=servers.password,
                tls=tls,
            )
        except asyncio.CancelledError:  # the deadline: the client itself never stops trying
            with contextlib.suppress(Exception):
                await client.close()
            raise OperationalError(
                f"no NATS server answers at NATS_URL within {servers.timeout:g} s: {self._last_error!r}"
            ) from None
        await requests.use(client)
        await self._forget()
        return requests

    async def _note(self, error: Exception) -> None:
        """Keep the error that explains most: a refused client sees its connection end as well."""
        if "authorization" not in str(self._last_error).lower():
            self._last_error = error

    async def _forget(self) -> None:
        self._last_error = None
