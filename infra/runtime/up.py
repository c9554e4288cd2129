"""`towpath up`: everything on one machine, in one process group.

Imports happen once, here. Then the API, the lock projection (which every task waits for), the other
projections and the runner are forked: four processes start in the time of one. A child that dies is started
again, unless it keeps dying. Ctrl-C drains: the runner stops first, so that its last reports still arrive.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from infra.config.installation import Published, publish, running_on, with_own_token
from infra.config.settings import Settings
from infra.maintenance.damaged_read_model import move_aside
from infra.nats.connection import shown_urls
from infra.nats.embedded_server import EmbeddedNats
from infra.runtime.http_server import bind
from infra.runtime.memory import share_imports
from infra.runtime.standard_streams import flush_words
from infra.runtime.stop_signals import Wakeups, let_go_of_descriptors, stop_signals
from infra.telemetry.otel_tracer import check_tracing, preload

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import httpx

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
WATCH_SECONDS = 0.2
LOOK_SECONDS = 0.005
STOP_ORDER = (("runner",), ("api",), ("projector", "locks"))
NEEDED = (
    "api.app",
    "api.reports.nats_intake",
    "infra.composition",
    "infra.runtime.processes",
    "runner.service",
)
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15

log = structlog.get_logger(__name__)
Words = Callable[[str], None]


class CannotStart(Exception):
    """`towpath up` cannot start or continue; the message says what to do."""


@dataclass
class _Part:
    """One child process and how often it was started."""

    name: str
    main: Callable[[], int]
    pid: int = 0
    starts: list[float] = field(default_factory=list)


class Supervisor:
    """Starts the child processes, watches them, and stops them in order."""

    def __init__(self, settings: Settings, say: Words) -> None:
        self._say = say
        self._nats: EmbeddedNats | None = None
        self._parts: list[_Part] = []
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
        self._add("api", lambda: _api(control, listener))
        self._add("locks", lambda: _projector(control, ("locks",)))
        self._add(
            "projector",
            lambda: _projector(control, ("dispatch", "watchdog", "read-model", "checkpoint-signer")),
        )
        if settings.host_runner_url is None:
            runner = self._with_nats(settings, "runner")
            self._add("runner", lambda: _runner(runner))

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

    def _add(self, name: str, main: Callable[[], int]) -> None:
        part = _Part(name, main)
        self._parts.append(part)
        self._fork(part)

    def _fork(self, part: _Part) -> None:
        flush_words()
        part.starts.append(time.monotonic())
        parent = os.getpid()
        part.pid = os.fork()
        if part.pid == 0:
            _become_child(part, parent, self._listener)

    def publish(self) -> None:
        """Write the installation file, where commands on this machine find addresses and tokens."""
        nats_port = self._nats.port if self._nats is not None else None
        self._published = publish(self._given, self.settings, nats_port)

    def watch(self, stop: Callable[[], bool], pause: Callable[[float], None]) -> None:
        """Wait until `stop()`; restart children that die. Raises CannotStart if one keeps dying."""
        while not stop():
            self.look()
            pause(WATCH_SECONDS)

    def look(self) -> None:
        """Restart children that have died. Raises CannotStart if one keeps dying, or if NATS has died."""
        if self._nats is not None and self._nats.pid is None:
            raise CannotStart("the NATS server ended; its last words are in nats.log in the data directory")
        for part in self._parts:
            pid, status = os.waitpid(part.pid, os.WNOHANG)
            if pid:
                self._restart(part, os.waitstatus_to_exitcode(status))

    def _restart(self, part: _Part, code: int) -> None:
        recent = [at for at in part.starts if at > time.monotonic() - RESTART_WINDOW_SECONDS]
        if len(recent) > MAX_RESTARTS:
            raise CannotStart(f"the {part.name} keeps ending (last with {code}); see the lines above")
        self._say(f"the {part.name} ended with {code}; starting it again")
        self._fork(part)

    def stop(self) -> None:
        """Stop the children in STOP_ORDER, then NATS; each drains before the next are stopped."""
        if self._published is not None:
            self._published.withdraw()
        if self._listener is not None:
            self._listener.close()  # the API process has its own copy
        for names in STOP_ORDER:
            _end([part for part in self._parts if part.name in names])
        self._parts.clear()
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


def _become_child(part: _Part, parent: int, listener: socket.socket | None) -> None:
    """Run the child's main function and exit; never returns. Only the API keeps `listener`.

    It has its part's name in `ps` and `top`.
    """
    code = 1
    try:
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        prctl(PR_SET_NAME, part.name.encode())
        for number in (signal.SIGINT, signal.SIGHUP):  # sent to the whole group: the parent ends us
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)  # the parent's
        let_go_of_descriptors({listener.fileno()} if listener and part.name == "api" else ())
        code = part.main()
    except Exception as error:
        log.error("part failed", part=part.name, error=repr(error))
    finally:
        flush_words()
        os._exit(code)


def _api(settings: Settings, listener: socket.socket) -> int:
    from infra.runtime.processes import run, serve_api

    return run(lambda settings, stop: serve_api(settings, stop, listener), settings, (signal.SIGTERM,))


def _projector(settings: Settings, only: tuple[str, ...]) -> int:
    from infra.runtime.processes import run, serve_projector

    return run(lambda settings, stop: serve_projector(settings, stop, only), settings, (signal.SIGTERM,))


def _runner(settings: Settings) -> int:
    from infra.runtime.processes import run, serve_runner

    return run(serve_runner, settings, (signal.SIGTERM,))


def _end(parts: Sequence[_Part]) -> None:
    """Send SIGTERM to all, and SIGKILL after STOP_SECONDS with a message."""
    left = [part for part in parts if _tell(part, signal.SIGTERM)]
    deadline = time.monotonic() + STOP_SECONDS
    while left := [part for part in left if _lives(part)]:
        if time.monotonic() > deadline:
            for part in left:
                log.warning("part did not end in time and is killed", part=part.name)
                _tell(part, signal.SIGKILL)
                os.waitpid(part.pid, 0)
            return
        signal.sigtimedwait([], LOOK_SECONDS)


def _tell(part: _Part, number: int) -> bool:
    try:
        os.kill(part.pid, number)
    except ProcessLookupError:
        return False
    return True


def _lives(part: _Part) -> bool:
    try:
        return os.waitpid(part.pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False
