"""The programs of docs/examples, run as they stand there, and what can be seen of them from outside."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from runner.clock import boottime
from tests.support.repository import REPO
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

EXAMPLES = REPO / "docs" / "examples"


@contextlib.contextmanager
def running(up: Up, *command: object, cwd: Path | None = None, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A program of the examples, ended at the end."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=cwd or up.home.path,
        env={**up.home.env, "TOWPATH_URL": up.url, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def seen(up: Up, runner_id: str) -> dict[str, Any]:
    """A runner as `/runners` shows it. Not there yet: AssertionError, which `eventually` waits out."""
    found = [one for one in up.get("/runners")["items"] if one["id"] == runner_id]
    assert found, f"{runner_id} has sent no heartbeat"
    return found[0]


PAUSING: dict[str, Any] = {"timeout_seconds": 6.0, "timeout_pauses": True}


async def ended_after_its_pause(up: Up, task_id: str, token: str = "") -> dict[str, Any]:
    """The end of a running task with a PAUSING timeout that asks, and is answered after that time."""
    await eventually(lambda: up.task(task_id)["status"] == "running", DEADLINE)
    question = {"question_id": "q", "text": "Go on?", "choices": ["yes"], "attempt": 1}
    place = f"/tasks/{task_id}/questions"
    headers = {"X-Runner-Token": token} if token else {}
    asked = httpx.post(f"{up.url}/runner{place}", json=question, headers=headers, timeout=DEADLINE)
    assert asked.status_code == 201, asked.text
    over = boottime() + PAUSING["timeout_seconds"] + 2
    await eventually(lambda: boottime() > over, DEADLINE)
    assert up.task(task_id)["status"] == "running"
    up.post(f"{place}/q/answer", {"choice": "yes"})
    ended: dict[str, Any] = await eventually(lambda: up.ended(task_id), DEADLINE)
    return ended


def resisting_left(home: Home) -> list[int]:
    """Processes of resisting jobs that are still there."""
    found = []
    for pid in home.processes():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if line.startswith(b"sh\0-c\0") and b"trap '' TERM" in line:
                found.append(pid)
    return found
