"""The installed command as people use it: real processes in a directory of their own, ended by id.

Everything a test starts carries a mark in its environment, and jobs work below the test's directory, so
`processes` sees whatever is left, also what went into a session of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.nats import CLIENT
from tests.support.observers.recorder import Recorder

TOWPATH = Path(sys.executable).with_name("towpath")
DEADLINE = 60.0
COMMAND_SECONDS = 90.0
ENDED = ("succeeded", "failed", "canceled", "submit-failed")
_MARK = "ACCEPTANCE_MARK"
_OURS = ("TOWPATH_", "API_", "HOST_RUNNER", "COLUMNS", "NO_COLOR", "FORCE_COLOR", _MARK)

Json = dict[str, Any]


class Home:
    """A directory with the command in reach. `env` goes to every process."""

    def __init__(self, path: Path, **env: str) -> None:
        self.path = path
        self._mark = secrets.token_hex(8)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        kept["TOWPATH_NATS_CLIENT"] = CLIENT
        binaries = f"{TOWPATH.parent}:{kept.get('PATH', '/usr/bin:/bin')}"
        self.env = {**kept, "PATH": binaries, _MARK: self._mark, "COLUMNS": "120", **env}
        self._servers: list[Server] = []
        self.recorders: list[Recorder] = []

    def run(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """`towpath …` to its end."""
        return self.program(TOWPATH, *arguments, **env)

    def program(
        self, *command: str | Path, seconds: float = COMMAND_SECONDS, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Any program to its end."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.path,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self, *arguments: str | Path, **env: str) -> Server:
        """`towpath …` as a process group of its own."""
        number = len(self._servers)
        with (self.path / f"{arguments[0]}-{number}.err").open("wb") as words:
            process = subprocess.Popen(
                [str(TOWPATH), *map(str, arguments)],
                cwd=self.path,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
            )
        server = Server(process, Path(words.name))
        self._servers.append(server)
        return server

    def up(self, *options: str | Path, **env: str) -> Up:
        """`towpath up` on free ports, ready."""
        server = self.start("up", "--port", "0", "--nats-port", "0", *options, **env)
        return Up(self, server)

    def processes(self) -> list[int]:
        """Everything that runs because of this home, whatever session or parent it has by now."""
        mark, below = f"{_MARK}={self._mark}".encode(), os.fsencode(self.path)
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                    where = bytes((entry / "cwd").readlink())
                    if mark in told or below in told or where.startswith(below):
                        found.append(int(entry.name))
        return found

    def close(self) -> None:
        """End what a failed test left, by id."""
        for server in self._servers:
            server.close()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for recorder in self.recorders:
            recorder.close()


class Server:
    """A `towpath` that goes on until it is told to end."""

    def __init__(self, process: subprocess.Popen[bytes], words: Path) -> None:
        self.process = process
        self._words = words
        self._said = b""

    @property
    def words(self) -> str:
        """What it wrote to stderr."""
        return self._words.read_text(errors="replace")

    def said_until(self, line: str, deadline: float = DEADLINE) -> list[str]:
        """Lines of stdout up to `line`."""
        out, end = self.process.stdout, time.monotonic() + deadline
        assert out is not None
        while f"{line}\n".encode() not in self._said:
            ready, _, _ = select.select([out], [], [], max(0.0, end - time.monotonic()))
            more = os.read(out.fileno(), 4096) if ready else b""
            assert more, f"no {line!r} in {self._said!r}; stderr:\n{self.words[-3000:]}"
            self._said += more
        return self._said.decode().splitlines()

    def interrupt(self) -> int:
        """Ctrl-C: SIGINT to the whole group, which drains by itself. Returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(DEADLINE)
        assert "did not end in time" not in self.words, self.words[-3000:]
        return code

    def kill(self) -> None:
        """`kill -9` for the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Client:
    """One API over plain HTTP, and the command that talks to it."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url = home, url

    def towpath(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """A client command against this API, to its end."""
        return self.home.run(*arguments, **{"TOWPATH_URL": self.url, **env})

    def told(self, *arguments: str | Path, **env: str) -> Any:
        """The JSON of a client command that must end with 0."""
        ended = self.towpath(*arguments, "-o", "json", **env)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def get(self, path: str, **params: Any) -> Any:
        return self._answer(httpx.get(self.url + path, params=params, timeout=30))

    def post(self, path: str, body: Json | None = None) -> Any:
        return self._answer(httpx.post(self.url + path, json=body, timeout=30))

    def task(self, task_id: str) -> Json:
        task: Json = self.get(f"/tasks/{task_id}")
        return task

    def create(self, command: list[str], dispatch: bool = True, **spec: Any) -> str:
        """Create a task and, unless told otherwise, dispatch it; its id."""
        flag = "true" if dispatch else "false"
        return str(self.post(f"/tasks?dispatch={flag}", {"command": command, **spec})["id"])

    def workspace(self, name: str) -> Path:
        """A new directory, registered under `name`."""
        root = self.home.path / name
        root.mkdir()
        self._answer(httpx.put(f"{self.url}/workspaces/{name}", json={"root": str(root)}, timeout=30))
        return root

    def events(self, after_seq: int = 0, **params: Any) -> list[Json]:
        """The log, or what `params` choose of it."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            at = {"cursor": cursor} if cursor else {"after_seq": after_seq}
            page = self.get("/events", limit=200, **at, **params)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def holders(self) -> dict[str, int]:
        """Task id and fencing token of every lock that is held."""
        entries = self.get("/locks")["items"]
        return {one["task_id"]: one["token"] for entry in entries for one in entry["holders"]}

    def ended(self, task_id: str) -> Json | None:
        """The task if it has ended."""
        task = self.task(task_id)
        return task if task["status"] in ENDED else None

    @staticmethod
    def _answer(answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json()


class Up(Client):
    """A `towpath up` that has said `ready`."""

    def __init__(self, home: Home, server: Server) -> None:
        self.server = server
        self.lines = server.said_until("ready")
        said = dict(line.split()[:2] for line in self.lines if line != "ready")
        super().__init__(home, said["API"])
        self.nats_url, self.data_dir = said["NATS"], Path(said["data"])
        password = self.data_dir / "nats-password"
        if password.exists():  # not on a NATS of somebody else
            home.recorders.append(Recorder(self.nats_url, "towpath", password.read_text()))

    @property
    def nats_port(self) -> str:
        return self.nats_url.rpartition(":")[2]


@contextlib.contextmanager
def running_up(path: Path, **env: str) -> Iterator[Up]:
    """A `towpath up` in `path` for many tests; at the end Ctrl-C must end it and leave no process."""
    with contextlib.closing(Home(path)) as home:
        up = home.up(**env)
        yield up
        assert up.server.interrupt() == 0
        assert home.processes() == []
