"""The embedded nats-server of `towpath up`.

The binary is installed with the environment. The server syncs every write before it acknowledges, listens on
loopback only, keeps passwords in files of mode 0600, and dies with the process that started it. The
parent-death signal is tied to the *thread* that spawns, so call `start()` from the main thread. Two servers
would destroy one data directory, so the server itself holds a lock file open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import structlog

from domain.subjects import Stream
from infra.config.private_files import PRIVATE_UMASK, create_private, private_tree, write_private
from infra.config.process_secrets import without_secrets
from infra.nats.accounts import LOG_CONSUMERS, accounts_block
from infra.nats.binary import EmbeddedNatsError, dying_with_parent, find_nats_server
from infra.nats.ports_file import CONFIGURATION, ports_files, read_ports
from infra.nats.recovery import CONSUMERS, forget_consumers, patience
from infra.nats.syntax import nats_string

HOST = "127.0.0.1"
_POLL_SECONDS = 0.005
_LOCK_SECONDS = 1.0
"""A server that was killed keeps its lock until the last of its threads has ended."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Credentials:
    """A NATS user; `password` is None for the guest, who needs none."""

    user: str
    password: str | None = None


class EmbeddedNats:
    """One nats-server with JetStream under `data_dir`.

    With `port` or `monitor_port` 0 the system chooses. `sync_interval` is `always` or a duration such as `2m`
    (faster, but a power cut loses up to that much of the acknowledged writes). Without `guest`, clients
    without a password are rejected.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 4222,
        *,
        monitor_port: int = 0,
        sync_interval: str = "always",
        guest: bool = True,
        start_timeout_seconds: float = 20.0,
        stop_timeout_seconds: float = 10.0,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._port, self._monitor_port = port, monitor_port
        self._sync_interval, self._guest = sync_interval, guest
        self._start_timeout, self._stop_timeout = start_timeout_seconds, stop_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._passwords: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def url(self) -> str:
        """`nats://127.0.0.1:<port>`; a client without credentials is the guest. Valid after `start()`."""
        return f"nats://{HOST}:{self._port}"

    @property
    def port(self) -> int:
        """The port for clients. Valid after `start()`."""
        return self._port

    @property
    def monitor_url(self) -> str:
        """`http://127.0.0.1:<port>` of the monitoring endpoints. Valid after `start()`."""
        return f"http://{HOST}:{self._monitor_port}"

    @property
    def store(self) -> Path:
        """The directory in which the server keeps the control plane's streams, one directory each."""
        return self._data_dir / "nats" / "jetstream" / "TOWPATH" / "streams"

    @property
    def control(self) -> Credentials:
        """The control plane's user, with all permissions."""
        return Credentials("towpath", self._passwords["towpath"])

    @property
    def runner(self) -> Credentials:
        """The runners' user: takes submissions, sends reports and heartbeats, reads the log."""
        return Credentials("runner", self._passwords["runner"])

    @property
    def control_url(self) -> str:
        """`url` with the control plane's credentials in it: a secret, never log it."""
        return self._url_of(self.control)

    @property
    def runner_url(self) -> str:
        """`url` with the runners' credentials in it: a secret, never log it."""
        return self._url_of(self.runner)

    def start(self) -> None:
        """Start and wait until clients can connect (0.1 s). Main thread only. Raises EmbeddedNatsError."""
        if self.pid is not None:
            return
        binary = find_nats_server()
        private_tree(self._data_dir)
        self._passwords = {
            "towpath": _password(self._data_dir / "nats-password"),
            "runner": _password(self._data_dir / "nats-runner-password"),
        }
        _check_free(self._port, "--nats-port")
        _check_free(self._monitor_port, "the monitoring port")
        config = self._write_config()
        with self._locked() as lock, self._stderr() as stderr:
            for stale in ports_files(self._data_dir).values():
                stale.unlink(missing_ok=True)
            if forgotten := forget_consumers(self.store / Stream.LOG, LOG_CONSUMERS):
                log.info("consumers of others removed from the log", count=len(forgotten))
            self._process = subprocess.Popen(
                [*dying_with_parent(), str(binary), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=without_secrets(os.environ),
                pass_fds=[lock],
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
        try:
            self._await_ports(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; does nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(self._stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._ports_file(process).unlink(missing_ok=True)

    def _url_of(self, credentials: Credentials) -> str:
        password = quote(credentials.password or "", safe="")
        return f"nats://{credentials.user}:{password}@{HOST}:{self._port}"

    def _write_config(self) -> Path:
        path = self._data_dir / CONFIGURATION
        text = f"""\
# Written by Towpath at every start: edits are lost.
server_name: towpath
listen: "{HOST}:{self._port or -1}"
http: "{HOST}:{self._monitor_port or -1}"
ports_file_dir: {nats_string(self._data_dir)}
log_file: {nats_string(self._data_dir / "nats.log")}
logfile_size_limit: 16MB
logfile_max_num: 3
jetstream {{
  store_dir: {nats_string(self._data_dir / "nats")}
  sync_interval: {nats_string(self._sync_interval)}
  max_file_store: {_disk_bytes(self._data_dir)}
}}
{accounts_block(self._passwords["towpath"], self._passwords["runner"], guest=self._guest)}"""
        write_private(path, text)
        return path

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = create_private(self._data_dir / "nats.lock", os.O_RDWR)
        try:
            if not _taken(descriptor):
                raise EmbeddedNatsError(
                    f"{self._data_dir} is in use by another NATS server: stop that `towpath up`, "
                    "or choose another directory with --data-dir"
                )
            yield descriptor
        finally:
            os.close(descriptor)

    def _stderr(self) -> IO[bytes]:
        return os.fdopen(create_private(self._data_dir / "nats.stderr", os.O_WRONLY | os.O_TRUNC), "wb")

    def _ports_file(self, process: subprocess.Popen[bytes]) -> Path:
        return self._data_dir / f"nats-server_{process.pid}.ports"

    def _await_ports(self, process: subprocess.Popen[bytes]) -> None:
        started, times = time.monotonic(), 1
        while process.poll() is None:
            ports = read_ports(self._ports_file(process))
            if ports is not None:
                self._port, self._monitor_port = ports.client, ports.monitor
                return
            if time.monotonic() >= started + times * self._start_timeout:
                allowed = patience(self._data_dir / "nats.log", process.pid)
                if times >= allowed:
                    raise EmbeddedNatsError(self._not_up(times, allowed))
                log.warning("nats-server still reads its streams, waiting for it", store=str(self.store))
                times += 1
            time.sleep(_POLL_SECONDS)
        state = f"ended with {process.returncode}"
        raise EmbeddedNatsError(f"nats-server {state}; its last words:\n{self._last_words()}")

    def _not_up(self, times: int, allowed: int) -> str:
        late = f"nats-server did not come up within {times * self._start_timeout:g} s: "
        if allowed == CONSUMERS:
            return (
                f"{late}it still makes its consumers ready ({self._data_dir / 'nats.log'} says so); try again"
            )
        return (
            f"{late}this machine is too busy, or "
            f"its files in {self.store} are damaged so that it cannot read them (nats.log in "
            f"{self._data_dir} has its last words); if it stays so, `towpath restore` a backup into "
            "a new --data-dir"
        )

    def _last_words(self) -> str:
        lines: list[str] = []
        for name in ("nats.log", "nats.stderr"):
            with contextlib.suppress(FileNotFoundError):
                lines += (self._data_dir / name).read_text(errors="replace").splitlines()[-5:]
        return "\n".join(lines)


def _taken(descriptor: int) -> bool:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EmbeddedNatsError(
                f"port {port} on {HOST} cannot be used for NATS ({error.strerror}): "
                f"choose another with {option}, or set TOWPATH_NATS_URL to use the server that runs there"
            ) from error


def _disk_bytes(directory: Path) -> int:
    """The size of the disk. The server's own default, a share of the free space, shrinks with every start."""
    return max(shutil.disk_usage(directory).total, 1 << 30)


def _password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()
