"""What ops read of real processes: JSON lines on a pipe, a console on a terminal, and in both a trace."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"
SAYS_ITS_TRACE = ["sh", "-c", "echo $TRACEPARENT > trace.txt"]
LIFE = ["created", "dispatched", "granted", "queued", "running", "succeeded", "released"]


async def run_traced(up: Up, given: str = CALLER) -> tuple[str, Path]:
    """A task in a workspace, dispatched by a caller with a trace, to its end; its id and its root."""
    root = up.workspace("shop")
    body = {"command": SAYS_ITS_TRACE, "workspace": "shop"}
    answer = httpx.post(
        f"{up.url}/tasks?dispatch=true", json=body, headers={"traceparent": given}, timeout=30
    )
    assert answer.status_code == 201, answer.text
    task_id = answer.json()["id"]
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert task["status"] == "succeeded"
    await eventually(lambda: up.holders() == {}, DEADLINE)
    return task_id, root


def lines(up: Up) -> list[dict[str, Any]]:
    return [json.loads(line) for line in up.server.words.splitlines()]


async def test_every_line_about_a_task_says_which_and_its_callers_trace(home: Home) -> None:
    up = home.up(TOWPATH_LOG_LEVEL="debug")
    task_id, root = await run_traced(up)
    assert (root / "trace.txt").read_text() == f"{CALLER}\n"
    assert up.server.interrupt() == 0
    of_task = [line for line in lines(up) if line.get("task") == task_id]
    said = {line["message"]: line for line in of_task}
    assert {line["trace"] for line in of_task} == {TRACE}
    appended = [line for line in of_task if line["logger"] == "adapters.event_store.append_logging"]
    appended.sort(key=lambda line: line["sequence"])  # lines of several processes
    assert [line["message"].split()[-1] for line in appended] == LIFE
    assert [line["sequence"] for line in appended] == list(range(2, 9))
    assert [line.get("attempt") for line in appended] == [None, 1, 1, 1, 1, 1, 1]
    for message in ("attempt accepted", "job started", "attempt over", "report answered"):
        assert said[message]["attempt"] == 1
    assert said["job started"]["sequence"] == 6


async def test_what_is_no_trace_is_ignored(home: Home) -> None:
    up = home.up()
    _, root = await run_traced(up, "00-nonsense")
    assert (root / "trace.txt").read_text() == "\n"
    assert up.server.interrupt() == 0
    assert [line for line in lines(up) if "trace" in line] == []


async def test_on_a_terminal_lines_are_for_people(home: Home) -> None:
    controller, terminal = pty.openpty()
    command = [str(TOWPATH), "up", "--port", "0", "--nats-port", "0"]
    process = subprocess.Popen(
        command,
        cwd=home.path,
        env={**home.env, "NO_COLOR": "1", "TOWPATH_LOG_LEVEL": "info"},
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    os.set_blocking(controller, False)
    shown = ""

    def has(words: str) -> bool:
        nonlocal shown
        try:
            shown += os.read(controller, 65536).decode()
        except (BlockingIOError, OSError):  # nothing new; or nobody writes any more
            return words in shown
        return words in shown

    try:
        await eventually(lambda: has("\nready\r"), DEADLINE)
        found = re.search(r"API +(\S+)", shown)
        assert found is not None
        headers = {"traceparent": CALLER}
        url = f"{found[1]}/tasks?dispatch=true"
        task_id = httpx.post(url, json={"command": ["true"]}, headers=headers, timeout=30).json()["id"]
        await eventually(lambda: has("attempt over"), DEADLINE)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE)
        has("")
        os.close(controller)
    line = next(line for line in shown.splitlines() if "attempt over" in line)
    assert re.match(r"\S+Z \[info *\] attempt over ", line), line
    for words in ("attempt=1", "outcome=succeeded", "sequence=4", f"task={task_id}", f"trace={TRACE}"):
        assert words in line
    assert "{" not in line
