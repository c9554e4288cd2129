"""`towpath demo`: real tasks that contend for a real workspace, and their trail.

Everything runs in a temporary directory on free ports and is removed when the demo ends. Three tasks claim
overlapping paths, two run in parallel on disjoint ones, one fails, one is canceled while it runs, one needs a
pool without a runner. Then the demo shows the trail of one task and the history of the locks.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.config.settings import Settings
from infra.runtime.stop_signals import stop_signals

SUBMIT_DEADLINE_SECONDS = 3.0
DEADLINE_SECONDS = 90.0
POLL_SECONDS = 0.1
Json = dict[str, Any]
Words = Callable[[str], None]
EXPECTED = {
    "build": "succeeded",
    "test": "succeeded",
    "package": "succeeded",
    "docs": "succeeded",
    "lint": "succeeded",
    "broken": "failed",
    "endless": "canceled",
    "nobody": "submit-failed",
}


class DemoFailed(Exception):
    """The demo failed; the message says what happened."""


@dataclass(frozen=True)
class Wish:
    """A task of the demo; `paths` None means that it needs no workspace."""

    title: str
    script: str
    paths: tuple[str, ...] | None = None
    pool: str = "default"


def _work(name: str, seconds: float) -> str:
    """Shell command that prints its claim, works, and writes a line in the workspace."""
    return (
        f"echo {name} holds the lock with token $TOWPATH_LOCK_TOKEN; sleep {seconds}; "
        f"echo {name} $TOWPATH_LOCK_TOKEN >> journal.txt"
    )


WISHES = (
    Wish("build", _work("build", 1.0), ("src",)),
    Wish("test", _work("test", 0.6), ("src/api", "tests")),
    Wish("package", _work("package", 0.6), ("src", "dist")),
    Wish("docs", _work("docs", 1.5), ("docs",)),
    Wish("lint", _work("lint", 1.5), ("tools",)),
    Wish("broken", "echo this one fails >&2; exit 7"),
    Wish(
        "endless",
        "trap '' TERM; (setsid sleep 600 &); touch scratch/started; while :; do sleep 1; done",
        ("scratch",),
    ),
    Wish("nobody", "true", pool="gpu"),
)


def run_demo(settings: Settings, say: Words) -> None:
    """Run the demo; `say` prints lines for people, tables go to stdout.

    Raises:
        DemoFailed: a task ended otherwise than expected, or processes or files are left.
    """
    from infra.cli.client.http import Api

    stopping: list[int] = []
    for number in stop_signals(signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: stopping.append(got))
    with (
        _running(settings, say, lambda: bool(stopping)) as (started, workspace),
        Api(started.url, None) as api,
    ):
        tasks = _ask(api, workspace, say)
        _follow(api, tasks, workspace / "scratch" / "started", say, lambda: bool(stopping))
        _show(api, tasks)
        _check(api, tasks)
    say("All as expected; nothing is left running.")


@contextmanager
def _running(settings: Settings, say: Words, given_up: Callable[[], bool]) -> Iterator[tuple[Settings, Path]]:
    """Run Towpath on free ports, in a directory that is removed afterwards."""
    from infra.runtime.up import Supervisor, wait_ready

    home = Path(tempfile.mkdtemp(prefix="towpath-demo-"))
    workspace = home / "acme-api"
    for name in ("src/api", "tests", "dist", "docs", "tools", "scratch"):
        (workspace / name).mkdir(parents=True)
    supervisor = Supervisor(
        settings.model_copy(
            update={
                "data_dir": home / "data",
                "port": 0,
                "nats_port": 0,
                "roots": (workspace,),
                "submit_deadline_seconds": SUBMIT_DEADLINE_SECONDS,
                "log_level": "error",
            }
        ),
        say,
    )
    try:
        say("Starting NATS, the API, the projector and a runner ...")
        supervisor.start()
        if not wait_ready(supervisor, given_up):
            raise KeyboardInterrupt
        yield supervisor.settings, workspace
    finally:
        supervisor.stop()
        shutil.rmtree(home)


def _ask(api: Any, workspace: Path, say: Words) -> dict[str, str]:
    """Register the workspace, create and dispatch all tasks; returns title to id."""
    api.call("PUT", "/workspaces/acme-api", {"root": str(workspace)})
    say(f"Workspace acme-api is {workspace}")
    tasks = {}
    for wish in WISHES:
        body: Json = {"title": wish.title, "command": ["sh", "-c", wish.script], "pool": wish.pool}
        if wish.paths is not None:
            body |= {"workspace": "acme-api", "lock_paths": list(wish.paths)}
        task = api.post("/tasks", body, dispatch="true")
        tasks[wish.title] = task["id"]
        say(f"  {wish.title:8} {_claim(wish):22} {_lock(task, tasks)}")
    return tasks


def _claim(wish: Wish) -> str:
    if wish.paths is None:
        return f"pool {wish.pool}" if wish.pool != "default" else "no lock"
    return " ".join(wish.paths)


def _lock(task: Json, tasks: dict[str, str]) -> str:
    lock, titles = task["lock"], {task_id: title for title, task_id in tasks.items()}
    if lock["state"] == "waiting":
        return "waits behind " + " and ".join(titles[blocker] for blocker in lock["blocked_by"])
    return f"holds its lock, token {lock['token']}" if lock["state"] == "held" else ""


def _follow(
    api: Any, tasks: dict[str, str], endless_works: Path, say: Words, given_up: Callable[[], bool]
) -> None:
    """Print events as they arrive until all tasks have ended; cancel `endless` once its file exists."""
    from infra.cli.arguments.options import OutputFormat
    from infra.cli.output.formats import emit_line

    titles = {task_id: title for title, task_id in tasks.items()}
    after, canceled, deadline = 0, False, time.monotonic() + DEADLINE_SECONDS
    open_tasks, held = set(tasks.values()), set[str]()
    while open_tasks or held:
        if given_up():
            raise KeyboardInterrupt
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"still open after {DEADLINE_SECONDS:.0f} s: {[titles[one] for one in open_tasks]}"
            )
        page = api.get("/events", after_seq=after, limit=200)
        for event in page["items"]:
            after, task_id, name = event["seq"], event["task_id"], event["event"]
            emit_line(OutputFormat.TABLE, {**event, "title": titles.get(task_id, "")}, _columns())
            if name in ("succeeded", "failed", "canceled", "submit-failed"):
                open_tasks.discard(task_id)
            held |= {task_id} if name == "granted" else set()
            held -= {task_id} if name == "released" else set()
        if not canceled and endless_works.exists():
            canceled = True
            say("  canceling `endless`, which ignores SIGTERM and has a child in a session of its own")
            api.post(f"/tasks/{tasks['endless']}/cancel", {"reason": "enough"})
        if not page["items"]:
            signal.sigtimedwait([], POLL_SECONDS)


def _columns() -> tuple[Any, ...]:
    """Columns of events, with the titles of tasks, which are shorter than ids."""
    from infra.cli.output.durations import clock_time
    from infra.cli.output.event_text import detail, name_of
    from infra.cli.output.formats import Column

    return (
        Column("SEQ", lambda event: str(event["seq"]), right=True, width=4),
        Column("TIME", lambda event: clock_time(event["time"])),
        Column("EVENT", name_of, colored=True, width=20),
        Column("TASK", lambda event: event["title"], width=8),
        Column("DETAIL", detail, wide=True),
    )


def _show(api: Any, tasks: dict[str, str]) -> None:
    from infra.cli.arguments.options import OutputFormat
    from infra.cli.output.event_text import TRAIL
    from infra.cli.output.formats import console, emit
    from infra.cli.output.task_view import LIST

    titles = {task_id: title for title, task_id in tasks.items()}
    found, _ = api.items("/tasks", 100)
    trail, _ = api.items(f"/tasks/{tasks['test']}/events", 100)
    log, _ = api.items("/events", 1000, workspace="acme-api")
    locks = [
        {**event, "title": titles[event["task_id"]]}
        for event in log
        if event["event"] in ("granted", "refused", "released")
    ]
    for title, rows, columns in (
        ("The tasks, newest first", found, LIST),
        ("The trail of `test`, which waited for its lock", trail, TRAIL),
        ("The history of the locks of acme-api", locks, _columns()),
    ):
        console().print(f"\n{title}", style="bold")
        emit(OutputFormat.TABLE, rows, columns)
    sys.stdout.flush()


def _check(api: Any, tasks: dict[str, str]) -> None:
    ended = {title: api.get(f"/tasks/{task_id}")["status"] for title, task_id in tasks.items()}
    if ended != EXPECTED:
        raise DemoFailed(f"expected {EXPECTED}, saw {ended}")
    held = api.get("/locks")["items"]
    if held:
        raise DemoFailed(f"locks are still held: {held}")
