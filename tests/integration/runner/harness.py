"""The harness of runner tests: jobs that resist, two small control planes, a runner process to kill.

The control planes are stand-ins at the contract's edge only: a real HTTP server that answers reports, and
a task on a real NATS that turns stored reports into stored events.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from domain.lifecycle.asyncio_tasks import end_tasks
from domain.protocol import Submission
from runner.clock import boottime
from runner.config import RunnerConfig
from runner.errors import RunnerConfigError
from runner.intake.server import IntakeServer
from runner.isolation.confinement import check_available
from runner.nats_link import NATS_TROUBLE
from runner.process.tree.process_tree import DEAD, process_table
from tests.support.ports import free_port
from tests.support.repository import REPO
from tests.support.waiting import eventually

DEADLINE = 30.0

_RESISTING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def child(detach):
    if os.fork():
        return
    for step in range(detach):
        os.setsid() if step == 0 else None
        if step and os.fork():
            os._exit(0)
    time.sleep(300)
    os._exit(0)
child(0); child(1); child(2)
print("up", flush=True)
time.sleep(float(sys.argv[2]))
"""


def resisting_job(marker: str, main_seconds: float = 300) -> list[str]:
    """A command that ignores SIGTERM and forks plainly, into its own session, and as a daemon."""
    return [sys.executable, "-I", "-S", "-c", _RESISTING, marker, str(main_seconds)]


_STAMPING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def stamp(kind):
    while True:
        with open(f"{sys.argv[2]}.{kind}", "w") as file:
            file.write(f"{time.clock_gettime(time.CLOCK_BOOTTIME)}\\n")
        time.sleep(0.01)
if not os.fork():
    stamp("fork")
if not os.fork():
    os.setsid()
    if not os.fork():
        stamp("daemon")
    stamp("session")
stamp("main")
"""


def stamping_job(marker: str, file: Path) -> list[str]:
    """A resisting job of four processes; each keeps writing the boot time into `<file>.<its kind>`."""
    return [sys.executable, "-I", "-S", "-c", _STAMPING, marker, str(file)]


def confinable() -> bool:
    """Whether this kernel can confine a job's signals."""
    try:
        check_available()
    except RunnerConfigError:
        return False
    return True


def new_marker() -> str:
    """A word to find a test's processes by."""
    return f"mark-{secrets.token_hex(8)}"


def alive(marker: str) -> list[int]:
    """Pids of processes whose command line holds `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


async def all_up(marker: str) -> None:
    """Wait until the four processes of a resisting job run."""
    await eventually(lambda: len(alive(marker)) == 4, DEADLINE)


async def all_gone(marker: str) -> None:
    await eventually(lambda: not alive(marker), DEADLINE)


def name_of(pid: int) -> str:
    """What `ps` calls that process; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def named_below(parent: int, name: str) -> list[int]:
    """Pids of the living children of that name."""
    table = process_table()
    children = [pid for pid, seen in table.items() if seen.parent == parent and seen.state not in DEAD]
    return [pid for pid in children if name_of(pid) == name]


def keepers(runner: RunnerProcess) -> tuple[int, int]:
    """Pids of the guard and the shim of the runner's only job."""
    [guard] = named_below(runner.process.pid, "towpath-guard")
    [shim] = named_below(guard, "towpath-shim")
    return guard, shim


def submission(command: list[str], **changes: Any) -> dict[str, Any]:
    """A submission without a workspace."""
    return {
        "task_id": str(uuid7()),
        "attempt": 1,
        "title": "t",
        "command": command,
        "execution_mode": "no-workspace",
        "workspace": None,
        **changes,
    }


def workspace(root: Path, token: int = 7) -> dict[str, Any]:
    lock = {"lock_paths": [], "lock_mode": "exclusive", "lock_token": token}
    return {"execution_mode": "shared-workspace", "workspace": {"id": "acme", "root": str(root), **lock}}


Answer = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


@dataclass
class HttpControlPlane:
    """Records what is POSTed to /callback/<task_id>; `answer` may be replaced."""

    url: str = ""
    posts: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    answer: Answer | None = None
    beats: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    beat_status: int = 200
    last_beat_at: float = 0.0
    """CLOCK_BOOTTIME at which the last heartbeat had come."""
    stop: set[str] = field(default_factory=set)
    """Task ids that heartbeats are told to stop."""
    silent_to: set[str] = field(default_factory=set)
    """Task ids whose reports are recorded and never answered."""

    def callback(self, task_id: str) -> dict[str, str]:
        return {"status_callback_url": f"{self.url}/callback/{task_id}", "status_callback_token": "cb-token"}

    def said(self, task_id: str) -> list[str]:
        """Statuses reported about a task, in order."""
        return [body["status"] for posted, body, _ in self.posts if posted == task_id]

    async def final(self, task_id: str) -> dict[str, Any]:
        """Wait for the task's terminal report."""
        found = await eventually(
            lambda: [
                b for t, b, _ in self.posts if t == task_id and b["status"] not in {"queued", "running"}
            ],
            DEADLINE,
        )
        return found[0]

    async def receive(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.posts.append((request.path_params["task_id"], body, dict(request.headers)))
        if request.path_params["task_id"] in self.silent_to:
            await asyncio.Event().wait()
        status, read = (self.answer or agree)(body)
        headers = {"location": self.url + "/elsewhere"} if 300 <= status < 400 else None
        return JSONResponse(read, status_code=status, headers=headers)

    async def heartbeat(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.beats.append((body, dict(request.headers)))
        self.last_beat_at = boottime()
        wanted = [{**one, "wanted": "stop" if one["task_id"] in self.stop else "run"} for one in body["held"]]
        return JSONResponse({"wanted": wanted}, status_code=self.beat_status)


def note_alive(control: HttpControlPlane, marker: str) -> list[int]:
    """A list that gets the pids that are alive whenever a report comes from now on."""
    left: list[int] = []

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        left.extend(alive(marker))
        return agree(body)

    control.answer = answer
    return left


def agree(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The TaskRead of a control plane that accepts everything."""
    return 200, {**body, "cancel_requested": False}


@contextlib.asynccontextmanager
async def http_control_plane(port: int = 0) -> AsyncIterator[HttpControlPlane]:
    control = HttpControlPlane()
    app = Starlette(
        routes=[
            Route("/callback/{task_id}", control.receive, methods=["POST"]),
            Route("/runner/heartbeat", control.heartbeat, methods=["POST"]),
        ]
    )
    server = IntakeServer(app, "127.0.0.1", port)
    await server.start()
    control.url = server.url
    try:
        yield control
    finally:
        await server.stop()


_UNTIL_SIGTERM = """
import asyncio, signal, uvloop
from pathlib import Path as PosixPath
from runner.config import RunnerConfig
from runner.service import RunnerService

async def main(fields):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await RunnerService(RunnerConfig(**fields)).run_until(stop)

"""


class RunnerProcess:
    """A runner in a process of its own, on the loop of services, with an HTTP intake, to be killed."""

    def __init__(self, stderr: int | None = None, **config: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        fields = {"intake_port": self.port, "kill_grace_seconds": 0.5, "adopts_orphans": True, **config}
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{_UNTIL_SIGTERM}uvloop.run(main({fields!r}))"],
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )

    async def submit(self, body: dict[str, Any]) -> None:
        async with httpx.AsyncClient(base_url=self.url) as client:

            async def posted() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await client.post("/tasks/submit", json=body)).status_code == 202
                return False

            await eventually(posted, DEADLINE)

    def end(self, number: int) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class NatsControlPlane:
    """Turns reports on a real NATS into events of the log, as long as they come in a sensible order."""

    def __init__(self, nc: Client) -> None:
        self.nc = nc
        self.js = nc.jetstream()
        self.reports: list[dict[str, Any]] = []
        self.deaf_to: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.js.add_consumer("TOWPATH_REPORT", ConsumerConfig(durable_name="reports", ack_wait=5.0))
        subscription = await self.js.pull_subscribe_bind(consumer="reports", stream="TOWPATH_REPORT")

        async def consume() -> None:
            while True:
                await eventually(lambda: self.nc.is_connected, DEADLINE)
                with contextlib.suppress(*NATS_TROUBLE):
                    for message in await subscription.fetch(1, timeout=5):
                        body = json.loads(message.data)
                        task_id = message.subject.rsplit(".", 1)[-1]
                        self.reports.append({**body, "task_id": task_id, "headers": message.headers})
                        if body["status"] not in self.deaf_to:
                            await self.append(task_id, body["status"], body["attempt"], body)
                        await message.ack()

        self._task = asyncio.create_task(consume())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def append(self, task_id: str, event: str, attempt: int, data: dict[str, Any]) -> None:
        headers = {"ce-attempt": str(attempt)}
        await self.js.publish(
            f"towpath.append.task.{task_id}.{event}", json.dumps(data).encode(), headers=headers
        )

    async def submit(self, body: dict[str, Any], pool: str = "default") -> str:
        Submission.model_validate(body)
        await self.append(body["task_id"], "dispatched", body["attempt"], {"attempt": body["attempt"]})
        await self.js.publish(f"towpath.submit.{pool}", json.dumps(body).encode())
        return str(body["task_id"])

    def said(self, task_id: str) -> list[str]:
        return [report["status"] for report in self.reports if report["task_id"] == task_id]

    async def final(self, task_id: str) -> dict[str, Any]:
        found = await eventually(
            lambda: [
                r
                for r in self.reports
                if r["task_id"] == task_id and r["status"] not in {"queued", "running"}
            ],
            DEADLINE,
        )
        return found[0]


def runner_config(state_dir: Path, **changes: Any) -> RunnerConfig:
    """A quick runner with an HTTP intake on any port."""
    fields: dict[str, Any] = {"intake_port": 0, "kill_grace_seconds": 0.5, "capacity": 2}
    return RunnerConfig(state_dir=state_dir, **{**fields, **changes})
