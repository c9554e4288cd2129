"""Runs uvicorn inside the runner, on its own socket, without signal handlers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from runner.errors import RunnerConfigError


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the program around the runner handles signals


class IntakeServer:
    """Serves one ASGI application until `stop`."""

    def __init__(
        self, app: ASGIApp, host: str, port: int, protocol: type[asyncio.Protocol] | None = None
    ) -> None:
        """`protocol` limits connections and their waiting times; None: uvicorn's own, without limits."""
        self._host = host
        self._port = port
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                http=protocol or "httptools",
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen; `url` is valid afterwards. Raises RunnerConfigError if the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host.strip("[]"), self._port))
        except OSError as error:
            listener.close()
            raise RunnerConfigError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose another intake port"
            ) from None
        listener.listen(128)
        host = f"[{self._host.strip('[]')}]" if family == socket.AF_INET6 else self._host
        self.url = f"http://{host}:{listener.getsockname()[1]}"
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="intake-http")

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
