"""Serves an ASGI application with uvicorn on a bound socket until `stop` is set.

Binding first gives a clear error for a port in use, and lets `towpath up` bind before it forks. The process
handles signals itself, so uvicorn's handlers are disabled.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from domain.lifecycle.asyncio_tasks import end_tasks
from infra.runtime.http_connections import Connections, connection_limit, guarded_protocol

BACKLOG = 2048
GRACEFUL_SECONDS = 5
CONNECTIONS = 4000
"""Connections of one API process: more than the requests and live streams it processes at once."""


class CannotListen(Exception):
    """The address cannot be bound; the message names the option to change."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; with port 0 the system chooses the port. Raises CannotListen."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, proto)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port, or --host"
        ) from error
    bound.setblocking(False)
    return bound


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers; it ends at once, and not with its next tick."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def main_loop(self) -> None:
        told = asyncio.create_task(self._ending.wait())
        ticking = asyncio.create_task(super().main_loop())
        await asyncio.wait({told, ticking}, return_when=asyncio.FIRST_COMPLETED)
        await end_tasks([told, ticking])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Any,
    listener: socket.socket,
    stop: asyncio.Event,
    closing: Callable[[], None] = lambda: None,
    connections: Connections | None = None,
    graceful_seconds: int = GRACEFUL_SECONDS,
) -> None:
    """Serve `app` until `stop`, then give open requests `graceful_seconds` to end.

    `closing` is called first: it ends requests that would not end by themselves, such as live streams.
    `connections` limits how many clients may connect and how long they may take.
    """
    connections = connections or Connections(connection_limit(CONNECTIONS))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        http=guarded_protocol(connections),
        ws="none",
        timeout_graceful_shutdown=graceful_seconds,
    )
    ended = asyncio.Event()
    server = _Server(config, ended)

    async def end() -> None:
        await stop.wait()
        closing()
        server.should_exit = True
        ended.set()

    ending = asyncio.create_task(end())
    try:
        await server.serve(sockets=[listener])
    finally:
        ending.cancel()
