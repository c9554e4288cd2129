"""`towpath up`: everything on one machine, in one process group.

Imports happen once, here. Then the API, the lock projection (which every task waits for), the other
projections and the runner are forked: four processes start in the time of one; with TOWPATH_NOTIFY set, a
notifier, too. Ctrl-C drains: the runner stops first, so that its last reports still arrive.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from infra.config.installation import Published, publish, running_on, with_bot_token, with_own_token
from infra.config.settings import Settings
from infra.maintenance.damaged_read_model import move_aside
from infra.nats.connection import shown_urls
from infra.nats.embedded_server import EmbeddedNats
from infra.notices.file import load_notify_file
from infra.runtime.api_workers import API_NEEDS, add_workers
from infra.runtime.forked_parts import WATCH_SECONDS, CannotStart, ForkedParts, Words
from infra.runtime.http_server import bind
from infra.runtime.memory import share_imports
from infra.runtime.stop_signals import Wakeups, stop_signals
from infra.telemetry.otel_tracer import check_tracing, preload

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import httpx

READY_SECONDS = 30.0
NEEDED = (*API_NEEDS, "runner.service")


class Supervisor:
    """Starts the child processes, watches them, and stops them in order."""

    def __init__(self, settings: Settings, say: Words) -> None:
        self._say = say
        self._nats: EmbeddedNats | None = None
        self._parts = ForkedParts(say)
        self._listener: socket.socket | None = None
        self._published: Published | None = None
        self._given = settings
        self.settings = settings

    def start(self) -> None:
        """Start everything; returns before the parts are ready."""
        settings = with_own_token(self.settings)
        settings.check_api()
        if settings.host_runner_url is None:
            settings.check_runner()
        bot_token = None
        if settings.notify is not None and load_notify_file(settings).bots:
            settings, bot_token = with_bot_token(settings)
        check_tracing(settings)
        _refuse_second(settings.data_dir)
        listener = self._listener = bind(settings.host, settings.port)
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        if settings.nats_url is None:
            self._nats = EmbeddedNats(
                settings.data_dir,
                settings.nats_port,
                sync_interval=settings.nats_sync_interval,
                guest=settings.has_guest,
            )
            self._nats.start()
        moved = move_aside(settings)
        if moved is not None:
            self._say(moved)
        if settings.tracing:
            preload()
        share_imports(*NEEDED)
        self.settings = control = self._with_nats(settings, "control")
        asyncio.run(_prepare_streams(control, self._nats.store if self._nats is not None else None))
        add_workers(self._parts, control, listener)
        self._parts.add("locks", lambda: _projector(control, ("locks",)))
        self._parts.add(
            "projector",
            lambda: _projector(control, ("dispatch", "watchdog", "read-model", "checkpoint-signer")),
        )
        if settings.notify is not None:
            notifying = control.model_copy(update={"token": bot_token})
            self._parts.add("notifier", lambda: _notifier(notifying))
        if settings.host_runner_url is None:
            runner = self._with_nats(settings, "runner")
            self._parts.add("runner", lambda: _runner(runner))

    def _with_nats(self, settings: Settings, user: str) -> Settings:
        """The settings with which a child connects to NATS, as the control plane or as a runner."""
        update: dict[str, object] = {"url": settings.listen_url}
        if self._nats is not None:
            from pydantic import SecretStr

            given = self._nats.control if user == "control" else self._nats.runner
            update |= {
                "nats_url": self._nats.url,
                "nats_user": given.user,
                "nats_password": SecretStr(given.password or ""),
            }
        return settings.model_copy(update=update)

    def publish(self) -> None:
        """Write the installation file, where commands on this machine find addresses and tokens."""
        nats_port = self._nats.port if self._nats is not None else None
        self._published = publish(self._given, self.settings, nats_port)

    def watch(self, stop: Callable[[], bool], pause: Callable[[float], None]) -> None:
        """Wait until `stop()`; restart children that die. Raises CannotStart as `look`."""
        while not stop():
            self.look()
            pause(WATCH_SECONDS)

    def look(self) -> None:
        """Restart children that have died. Raises CannotStart if one keeps dying, or if NATS has died."""
        if self._nats is not None and self._nats.pid is None:
            raise CannotStart("the NATS server ended; its last words are in nats.log in the data directory")
        self._parts.look()

    def stop(self) -> None:
        """Stop the runner, the API, the projectors, the notifier, then NATS; each drains before the next."""
        if self._published is not None:
            self._published.withdraw()
        if self._listener is not None:
            self._listener.close()  # the API process has its own copy
        self._parts.stop("runner")
        self._parts.stop("api")
        self._parts.stop("projector", "locks")
        self._parts.stop("notifier")
        if self._nats is not None:
            self._nats.stop()


def run_up(settings: Settings, say: Words) -> int:
    """Run until SIGINT, SIGTERM or (unless it was ignored) SIGHUP; returns the exit code.

    `say` prints lines for people.
    """
    stopping: list[int] = []
    for number in stop_signals(signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: stopping.append(got))
    wakeups = Wakeups()
    supervisor = Supervisor(settings, say)
    try:
        supervisor.start()
        started = supervisor.settings
        say(f"API        {started.listen_url}  (docs: {started.listen_url}/docs)")
        say(f"console    {started.listen_url}/console/")
        say(f"NATS       {shown_urls(started)}")
        say(f"data       {started.data_dir}")
        if wait_ready(supervisor, lambda: bool(stopping)):
            supervisor.publish()
            for shortage in room_shortages(started):
                say(f"room       {shortage}")
            say("ready")
        supervisor.watch(lambda: bool(stopping), wakeups.wait)
    finally:
        supervisor.stop()
    say("stopped")
    return 0


def _refuse_second(data_dir: Path) -> None:
    running = running_on(data_dir)
    if running is not None:
        raise CannotStart(
            f"`towpath up` already runs on {data_dir}, at {running.url}: use that one, or stop it first; "
            "another one needs --data-dir, --port and --nats-port of its own"
        )


def wait_ready(supervisor: Supervisor, given_up: Callable[[], bool]) -> bool:
    """Wait until the API reports all parts ready and the local runner has sent a heartbeat.

    Returns False if `given_up()` becomes true first.

    Raises:
        CannotStart: not ready after READY_SECONDS, or a child keeps dying.
    """
    import httpx

    settings = supervisor.settings
    token = settings.token.get_secret_value() if settings.token else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    deadline = time.monotonic() + READY_SECONDS
    last = "it does not answer"
    with httpx.Client(base_url=settings.listen_url, headers=headers, timeout=2.0, trust_env=False) as client:
        while time.monotonic() < deadline and not given_up():
            supervisor.look()
            try:
                answer = client.get("/readyz")
                last = answer.text
                if answer.is_success and _runner_is_there(client, settings):
                    return True
            except httpx.HTTPError as error:
                last = repr(error)
            signal.sigtimedwait([], 0.02)
    if given_up():
        return False
    raise CannotStart(f"not ready after {READY_SECONDS:.0f} seconds: {last}")


async def _prepare_streams(settings: Settings, store: Path | None) -> None:
    """Check the log and create the streams before forking: an error is then reported only once."""
    from nats.errors import Error as NatsError

    from domain.errors import Busy
    from infra.maintenance.log_check import LogDamaged, check_patiently
    from infra.nats.connection import NatsUnavailable, connect
    from infra.nats.streams import StreamError, ensure_streams

    try:
        connection = await connect(settings, "towpath-up")
        try:
            await check_patiently(connection, settings, store)
            await ensure_streams(connection, settings.nats_replicas, settings.log_max_bytes)
        finally:
            await connection.close()
    except (NatsUnavailable, StreamError, LogDamaged, Busy, NatsError) as error:
        raise CannotStart(str(error)) from error


def room_shortages(settings: Settings) -> list[str]:
    """Why new work would be refused, and what to do about it; usually empty."""
    return asyncio.run(_room_shortages(settings))


async def _room_shortages(settings: Settings) -> list[str]:
    from adapters.nats.jetstream_api import JetStreamApi
    from domain.errors import Busy
    from infra.nats.capacity_bounds import bounds
    from infra.nats.connection import NatsUnavailable, connect

    try:
        connection = await connect(settings, "towpath-up")
    except NatsUnavailable:
        return []  # the child processes report it
    try:
        return [one.shortage for one in await bounds(settings, JetStreamApi(connection)) if one.spare <= 0]
    except Busy:
        return []
    finally:
        await connection.close()


def _runner_is_there(client: httpx.Client, settings: Settings) -> bool:
    if settings.host_runner_url is not None:
        return True
    answer = client.get("/runners")
    if answer.status_code in (401, 403):
        return True
    return any(runner["state"] == "alive" for runner in answer.json()["items"])


def _projector(settings: Settings, only: tuple[str, ...]) -> int:
    from infra.runtime.processes import run, serve_projector

    return run(lambda settings, stop: serve_projector(settings, stop, only), settings, (signal.SIGTERM,))


def _notifier(settings: Settings) -> int:
    from infra.runtime.processes import run, serve_notifier

    return run(serve_notifier, settings, (signal.SIGTERM,))


def _runner(settings: Settings) -> int:
    from infra.runtime.processes import run, serve_runner

    return run(serve_runner, settings, (signal.SIGTERM,))
