"""After the last fault: wait until nothing is open any more, then collect what the checker wants to see.

What does not settle within its time is no error here: it is collected as it is, and the checker says so.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
from nats.aio.client import Client
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.chaos.clients.receiver import EVENTS
from tests.chaos.clients.scenarios import JOB
from tests.chaos.deployments.harness import API_TOKEN, TOWPATH, Harness
from tests.chaos.history import History, Json
from tests.chaos.machines.processes import running_with
from tests.support.nats import api

LOOK_SECONDS = 1.0
LEFT_LOOKS = 15
SQL_SECONDS = 20.0
REPLAY_SECONDS = 180.0
NOTICES = "towpath_notices"
"""The schema of the notifier's state."""


async def settle(harness: Harness, nc: Client, seconds: float) -> list[str]:
    """Wait until all has come to its end; what had not when the time was over."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        open_ = await _open(harness, nc)
        if not open_ or asyncio.get_running_loop().time() > deadline:
            return open_
        await asyncio.sleep(LOOK_SECONDS)


async def _open(harness: Harness, nc: Client) -> list[str]:
    found: list[str] = []
    try:
        last = (await api(nc, "STREAM.INFO.TOWPATH"))["state"]["last_seq"]
        reports = await api(nc, "STREAM.INFO.TOWPATH_REPORT")
        waiting = reports["state"]["messages"]
    except Exception as error:
        return [f"NATS does not answer: {error!r}"]
    if "cluster" in reports and not reports["cluster"].get("leader"):
        found.append("no replica leads the work queue of reports (see docs/reliability.md)")
    if waiting:  # a killed API holds what it had taken until the queue's ack_wait is over
        found.append(f"{waiting} reports wait to be applied")
    for name, url in harness.models.items():
        try:
            position, rows = await _look_into(url)
        except Exception as error:
            found.append(f"{name} cannot be read: {error!r}")
            continue
        if position != last:
            found.append(f"{name} is at {position} of {last}")
        if rows:
            found.append(f"{name} shows {rows} tasks that have not ended")
    if harness.receivers:
        found += await _untold(harness.postgres, nc)
    for name in harness.runner_states:
        rows = len(_query(harness, name, "SELECT id FROM outbox"))
        if rows:
            found.append(f"the outbox of {name} holds {rows} reports")
    for name in harness.apis:
        locks = await _locks(harness, name)
        if locks is None or locks["holders"] or locks["waiters"]:
            found.append(f"{name} shows locks {locks}")
    return found


async def collect(harness: Harness, nc: Client) -> None:
    """Write everything into the history, and that it is all."""
    history = harness.history
    for workspace, root in harness.workspaces.items():
        for mark in _marks(root / "marks.jsonl"):
            history.note(**{**mark, "line": "mark", "workspace": workspace})
    for name in harness.runner_states:
        history.note("outbox", runner=name, rows=len(_query(harness, name, "SELECT id FROM outbox")))
        for task, attempt, outcome in _query(harness, name, "SELECT task_id, attempt, outcome FROM attempts"):
            history.note("held", runner=name, task=task, attempt=attempt, outcome=outcome)
    await _dead(nc, history)
    for name in harness.apis:
        locks = await _locks(harness, name)
        history.note("locks", api=name, **(locks or {"holders": [["no answer", 0]], "waiters": []}))
        history.note("workspaces", api=name, roots=await _workspaces(harness, name))
        runners = await _items(harness, name, "runners")
        if runners is not None:
            history.note("runners", api=name, shown=[one["id"] for one in runners])
    for name, url in (await _with_replay(harness)).items():
        try:
            await _rows(history, name, url)
        except Exception as error:  # a replay stops at a log with a hole: that is for the checker to say
            history.note("unreadable", model=name, why=str(error)[:500])
    for command in await _left_behind():
        history.note("left-behind", command=command)
    history.note("settled", wall=time.time())


async def _left_behind() -> list[str]:
    """Jobs and lock commands that still run, though every task has ended."""
    for _ in range(LEFT_LOOKS):
        if not (found := running_with([str(JOB), "lock="])):
            break
        await asyncio.sleep(LOOK_SECONDS)
    return found


async def _with_replay(harness: Harness) -> dict[str, str]:
    """The read models of the run, and a new one made from the log alone."""
    file = harness.directory / "replayed.db"
    env = harness.environment(
        "replay",
        TOWPATH_NATS_URL=",".join(harness.nats_urls),
        TOWPATH_NATS_USER=harness.control["user"],
        TOWPATH_NATS_PASSWORD=harness.control["password"],
        TOWPATH_DATABASE_URL=f"sqlite:///{file}",
    )
    process = await asyncio.create_subprocess_exec(
        TOWPATH, "replay", "--rebuild", env=env, cwd=harness.directory,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(REPLAY_SECONDS):
        said, _ = await process.communicate()
    if process.returncode != 0:
        harness.history.note("unreadable", model="replay", why=said.decode(errors="replace")[-1000:])
    return {**harness.models, "replay": f"sqlite:///{file}"}


# ---------------------------------------------------------------------- SQL


@contextlib.asynccontextmanager
async def _connected(url: str, schema: str = "towpath") -> Any:
    engine = create_async_engine(
        url.replace("sqlite://", "sqlite+aiosqlite://"),
        connect_args={"server_settings": {"search_path": schema}} if url.startswith("postgres") else {},
    )
    try:
        async with asyncio.timeout(SQL_SECONDS), engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def _look_into(url: str) -> tuple[int, int]:
    """Position, and the number of tasks that have not ended."""
    async with _connected(url) as connection:
        position = await connection.scalar(text("SELECT seq FROM positions WHERE name = 'tasks'"))
        ended = "('succeeded', 'failed', 'canceled', 'submit-failed')"
        rows = await connection.scalar(text(f"SELECT count(*) FROM tasks WHERE status NOT IN {ended}"))
        return int(position or 0), int(rows)


async def notifier_position(url: str) -> int | None:
    """The last event that the notifier has read; None before its first start."""
    async with _connected(url, NOTICES) as connection:
        seq = await connection.scalar(text("SELECT seq FROM notifier"))
        return None if seq is None else int(seq)


async def _untold(url: str, nc: Client) -> list[str]:
    """What the notifier has not sent, or not read; of what it does not tell, its position may be unsaved."""
    try:
        last = 0
        for name in EVENTS:
            answer = await api(nc, "STREAM.MSG.GET.TOWPATH", {"last_by_subj": f"towpath.task.*.{name}"})
            last = max(last, answer["message"]["seq"] if "message" in answer else 0)
        position = await notifier_position(url)
        async with _connected(url, NOTICES) as connection:
            unsent = (
                "SELECT state, count(*) FROM notices WHERE state NOT IN ('sent', 'bundled') GROUP BY state"
            )
            states = (await connection.execute(text(unsent))).all()
    except Exception as error:
        return [f"the notifier's state cannot be read: {error!r}"]
    found = [] if (position or 0) >= last else [f"the notifier is at {position} of {last}"]
    return found + [f"{count} notices are {state}" for state, count in states]


async def _rows(history: History, name: str, url: str) -> None:
    async with _connected(url) as connection:
        position = await connection.scalar(text("SELECT seq FROM positions WHERE name = 'tasks'"))
        for row in (await connection.execute(text("SELECT * FROM tasks"))).mappings():
            plain = {**row, "cancel_requested": bool(row["cancel_requested"])}
            history.note("row", model=name, row=plain)
        history.note("model", model=name, position=int(position or 0))


def _query(harness: Harness, runner: str, question: str) -> list[tuple[Any, ...]]:
    file = harness.runner_states[runner] / "runner.sqlite3"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as db:
            return db.execute(question).fetchall()
    except sqlite3.Error as error:
        return [(f"{file}: {error}", 0, None)]


# ---------------------------------------------------------------------- the rest


def _marks(file: Path) -> list[Json]:
    """All whole marks: a job killed at the end of a page has written only the beginning of one."""
    if not file.exists():
        return []
    return [json.loads(mark) for mark in re.findall(r"\{[^{}]*\}", file.read_text())]


async def _items(harness: Harness, name: str, what: str) -> list[Json] | None:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    try:
        async with httpx.AsyncClient(headers=headers, timeout=5, trust_env=False) as client:
            answer = (await client.get(f"{harness.apis[name]}/{what}")).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None
    return list(answer["items"])


async def _workspaces(harness: Harness, name: str) -> Json | None:
    items = await _items(harness, name, "workspaces")
    return None if items is None else {one["id"]: one["root"] for one in items}


async def _locks(harness: Harness, name: str) -> Json | None:
    items = await _items(harness, name, "locks")
    if items is None:
        return None
    return {
        side: [[one["task_id"], one["attempt"]] for entry in items for one in entry[side]]
        for side in ("holders", "waiters")
    }


async def _dead(nc: Client, history: History) -> None:
    """Which reports are on the dead letters."""
    state = (await api(nc, "STREAM.INFO.TOWPATH_DEAD"))["state"]
    for seq in range(state["first_seq"], state["last_seq"] + 1):
        answer = await api(nc, "STREAM.MSG.GET.TOWPATH_DEAD", {"seq": seq})
        if "message" not in answer:
            continue
        subject, body = answer["message"]["subject"], base64.b64decode(answer["message"].get("data", ""))
        _, _, kind, task = subject.split(".", 3)
        with contextlib.suppress(ValueError, AttributeError):
            report = json.loads(body)
            status = {"success": "succeeded"}.get(report.get("status"), report.get("status"))
            history.note(
                "dead", kind=kind, task=unquote(task), attempt=report.get("attempt"), status=status or kind
            )
