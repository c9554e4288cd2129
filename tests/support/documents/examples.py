"""The programs of docs/examples, run as they stand there, and what can be seen of them from outside."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.repository import REPO
from tests.support.towpath import Home, Up

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


def resisting_left(home: Home) -> list[int]:
    """Processes of resisting jobs that are still there."""
    found = []
    for pid in home.processes():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if line.startswith(b"sh\0-c\0") and b"trap '' TERM" in line:
                found.append(pid)
    return found
