"""Limits of HTTP connections: how many, how long a head may be, and how long a client may take to send it.

uvicorn bounds none of this. Here a connection that waits for its client has a deadline, and single bytes do
not extend it. When the limit of connections is reached, the server closes one: of the most common kind of
waiting, the connection that has waited longest. A client that sends its request at once is therefore served
even while many connections are half open. A connection whose request is being processed is never closed here;
the application bounds that time.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Limit of a head, and of a body's framing: chunk extensions and trailers (headers after the body)."""
CHUNK_LINE_BYTES = 24
"""Limit of a chunk's framing: its length in hexadecimal and two line ends."""
MAX_UNREAD_BYTES = 1 << 20
"""How many bytes of a body are discarded after a response that did not read it."""
SPARE_FILES = 200
"""File descriptors kept free for NATS, SQL, logs, and connections accepted before others are closed."""
SWEEP_SECONDS = 0.5
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
WANTED_FILES = 65_536


class Waits(Enum):
    """The kinds of waiting for a client."""

    HEAD = "head"
    NEXT = "next request"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class ClientPatience:
    """Seconds that a connection may wait for its client."""

    head: float = 5.0
    next: float = 30.0
    """uvicorn closes idle connections after 5 s, but any byte stops its clock."""
    body: float = 15.0
    """Longer than the application's own limit, which sends a response before it closes."""

    def of(self, waits: Waits) -> float:
        """The limit in seconds for one kind of waiting."""
        return {Waits.HEAD: self.head, Waits.NEXT: self.next, Waits.BODY: self.body}[waits]


class Connections:
    """All connections of one listener, at most `limit`."""

    def __init__(self, limit: int, patience: ClientPatience | None = None) -> None:
        self._limit = limit
        self._patience = patience or ClientPatience()
        self._open = 0
        self._waiting: dict[Waits, dict[GuardedProtocol, float]] = {waits: {} for waits in Waits}
        """Start time of each wait, oldest first."""
        self._sweeping = False
        self.cut = 0

    @property
    def count(self) -> int:
        """How many connections are open."""
        return self._open

    def opened(self, one: GuardedProtocol) -> None:
        """Count a new connection. Over the limit, close a waiting one, or this one if none waits."""
        self._open += 1
        self.wait(one, Waits.HEAD)
        if self._open > self._limit:
            most = max(self._waiting.values(), key=lambda kind: len(kind))
            self._cut(next(iter(most)))

    def wait(self, one: GuardedProtocol, waits: Waits) -> None:
        """Record that `one` waits for its client from now on."""
        self.works(one)
        loop = asyncio.get_running_loop()
        self._waiting[waits][one] = loop.time()
        one.waits = waits
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    def works(self, one: GuardedProtocol) -> None:
        """Record that a request of `one` is being processed."""
        if one.waits is not None:
            self._waiting[one.waits].pop(one, None)
            one.waits = None

    def closed(self, one: GuardedProtocol) -> None:
        """Forget the connection."""
        self.works(one)
        if one.counted:
            one.counted = False
            self._open -= 1

    def _cut(self, one: GuardedProtocol) -> None:
        self.cut += 1
        self.closed(one)
        one.transport.abort()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for waits, kind in self._waiting.items():
            before = now - self._patience.of(waits)
            for one in [one for one, since in kind.items() if since <= before]:  # cutting changes `kind`
                self._cut(one)
        self._sweeping = any(self._waiting.values())
        if self._sweeping:
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the limits of `connections`; the application can also close its connection."""

    connections_guard: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waits: Waits | None = None
        self.counted = True
        self._head_bytes = self._framing_bytes = self._body_bytes = self._unread_bytes = 0
        self._in_head = False
        self._whole = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.connections_guard.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections_guard.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.parser is None:
            return
        in_body = not self._whole
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                if self._answered:
                    self.transport.write(_HEAD_TOO_LARGE)
                    self.transport.close()
                else:
                    self.transport.abort()
        elif in_body and not self._whole:
            self._bound_body(len(data))

    def _bound_body(self, received: int) -> None:
        """Close a connection that sends framing instead of a body, or a body that is no longer read."""
        self._framing_bytes += received - self._body_bytes
        self._body_bytes = 0
        if self._answered:
            self._unread_bytes += received
        if self._framing_bytes > MAX_HEAD_BYTES or self._unread_bytes > MAX_UNREAD_BYTES:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header. Trailers arrive after the request's headers were checked, and are ignored."""
        if self._in_head:
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """Called by the parser for each chunk."""
        self._body_bytes += CHUNK_LINE_BYTES

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"towpath.abort": {"call": self.transport.abort}}
        self._head_bytes = self._framing_bytes = self._body_bytes = self._unread_bytes = 0
        self._in_head = True
        if self._answered:  # otherwise pipelined: an earlier request is still processed
            self.connections_guard.wait(self, Waits.HEAD)

    def on_headers_complete(self) -> None:
        self._in_head = self._whole = False
        self._name_the_target()
        if self._answered:
            self.connections_guard.wait(self, Waits.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._whole = True
        super().on_message_complete()
        if self._answered:
            self.connections_guard.wait(self, Waits.NEXT)
        else:
            self.connections_guard.works(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._answered or self.transport.is_closing():
            return
        if self._whole:
            self.connections_guard.wait(self, Waits.NEXT)
        elif self.waits is None:
            self.connections_guard.wait(self, Waits.BODY)

    @property
    def _answered(self) -> bool:
        """Whether no request of this connection is being processed."""
        return self.cycle is None or self.cycle.response_complete

    def _name_the_target(self) -> None:
        """Set `Host` from a target in absolute form, which takes precedence over the header (RFC 9112)."""
        if self.url.startswith(b"/"):
            return
        target = httptools.parse_url(self.url)
        if target.host:
            port = b":%d" % target.port if target.port else b""
            host = b"[%s]" % target.host if b":" in target.host else target.host
            self.headers[:] = [(name, value) for name, value in self.headers if name != b"host"]
            self.headers.append((b"host", host + port))


def guarded_protocol(connections: Connections) -> type[GuardedProtocol]:
    """The protocol class for one listener, as uvicorn wants it."""
    return type("GuardedProtocol", (GuardedProtocol,), {"connections_guard": connections})


def connection_limit(wanted: int) -> int:
    """How many connections this process may hold: `wanted`, or fewer if the system allows fewer open files.

    Raises the process's own limit of open files as far as it may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    files = WANTED_FILES if soft == resource.RLIM_INFINITY else soft
    return max(16, min(wanted, files - SPARE_FILES))
