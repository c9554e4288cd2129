"""The harness of a measurement: a nats-server with the log, and the control plane's real processes on it.

The processes are forked like those of `towpath up`, after the same imports. No runner is started: the
settings name a push runner, which only serves pool `default`, and the bench uses a pool of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from nats.js.errors import NotFoundError
from pydantic import SecretStr

from infra.composition import Core
from infra.config.settings import Settings, load_settings
from infra.nats.embedded_server import EmbeddedNats
from infra.runtime.http_server import bind
from infra.runtime.memory import share_imports
from infra.runtime.processes import run, run_projector, serve_api, serve_runner
from infra.telemetry.logging import configure_logging
from tests.bench.child import Child
from tests.bench.figures import SYNC_INTERVALS

POOL = "bench"
READY_SECONDS = 120.0
SETTLE_SECONDS = 300.0
_UNUSED_RUNNER = "http://127.0.0.1:9"
_SUBMIT_DEADLINE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Running processes; `port` is the API's, 0 without one."""

    port: int
    pids: tuple[int, ...]


class Harness:
    """One server under `home`, made for one kind of fsync (`always` or `interval`)."""

    def __init__(self, home: Path, mode: str) -> None:
        self.mode = mode
        self._home = home
        self._server = EmbeddedNats(home / "nats", 0, sync_interval=SYNC_INTERVALS[mode])
        self.settings: Settings

    def __enter__(self) -> Harness:
        self._server.start()
        self.settings = load_settings(
            data_dir=self._home / "data",
            port=0,
            nats_url=self._server.url,
            nats_user=self._server.control.user,
            nats_password=SecretStr(self._server.control.password or ""),
            nats_sync_interval=SYNC_INTERVALS[self.mode],
            host_runner_url=_UNUSED_RUNNER,
            submit_deadline_seconds=_SUBMIT_DEADLINE_SECONDS,
            log_level="error",
        )
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        configure_logging(self.settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def nats_pid(self) -> int:
        """The server's process id."""
        assert self._server.pid is not None
        return self._server.pid

    @contextlib.contextmanager
    def control_plane(self, *, apis: int = 1, projector: bool = True) -> Iterator[ControlPlane]:
        """Start the processes; when the first API answers, hand them over; end them afterwards.

        Further APIs have ports of their own, and share the queue of reports with it.
        """
        share_imports("api.app", "api.reports.nats_intake")
        children: list[Child] = []
        listeners = [bind("127.0.0.1", 0) for _ in range(apis)]
        ports: list[int] = [one.getsockname()[1] for one in listeners]
        settings = self.settings
        try:
            for listener, port in zip(listeners, ports, strict=True):
                own = self.settings.model_copy(update={"port": port, "url": f"http://127.0.0.1:{port}"})
                children.append(Child("api", partial(_run_api, own, listener)))
            if projector:
                children.append(Child("locks", lambda: run_projector(settings, ("locks",))))
                others = ("dispatch", "watchdog", "read-model", "checkpoint-signer")
                children.append(Child("projector", lambda: run_projector(settings, others)))
            for listener in listeners:
                listener.close()
            for port in ports:
                _await_api(port)
            yield ControlPlane(ports[0] if ports else 0, tuple(child.pid for child in children))
        finally:
            for listener in listeners:
                listener.close()
            for child in children:
                child.stop()

    @contextlib.contextmanager
    def runner(self, plane: ControlPlane, **changes: Any) -> Iterator[Child]:
        """Run a host runner of the bench's pool, as the broker's runner user."""
        who = self._server.runner
        given = {
            "url": f"http://127.0.0.1:{plane.port}",
            "pools": (POOL,),
            "nats_user": who.user,
            "nats_password": SecretStr(who.password or ""),
            **changes,
        }
        settings = self.settings.model_copy(update=given)
        child = Child("runner", lambda: run(serve_runner, settings))
        try:
            yield child
        finally:
            child.stop()


def _run_api(settings: Settings, listener: socket.socket) -> int:
    return run(lambda given, stop: serve_api(given, stop, listener), settings)


def _await_api(port: int) -> None:
    """Wait until the API process answers: its socket listens already, and serving begins last."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/livez")
        if connection.getresponse().status != 200:
            raise RuntimeError("the API came up, but not well")
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError("the API did not come up") from error
    finally:
        connection.close()


async def settled(core: Core, timeout: float = SETTLE_SECONDS, *, dispatch: bool = True) -> int:
    """Wait until the read model, and with `dispatch` the dispatcher, are at the log's end: its sequence."""
    async with asyncio.timeout(timeout):
        while True:
            last = await core.reader.last_seq()
            if await core.read_model.position() == last and (not dispatch or await _dispatch_is_idle(core)):
                return last
            await asyncio.sleep(0.05)


async def _dispatch_is_idle(core: Core) -> bool:
    try:
        consumer = await core.connection.jetstream().consumer_info("TOWPATH", "dispatch")
    except NotFoundError:
        return False
    return not consumer.num_pending and not consumer.num_ack_pending
