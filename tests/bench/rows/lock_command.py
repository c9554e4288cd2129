"""Rows `lock-command`: `towpath lock -- true` from its start to its end, as a script pays for it.

The yardsticks are `flock` on a file around the same program, and a Python that does nothing, started from the
same environment: what `towpath lock` takes beyond that is its own work, and that of the control plane.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.bench.figures import Row, row
from tests.bench.harness import Harness
from tests.bench.sizes import Sizes

NAMES = ["lock-command", "lock-command-own"]
ENTRY = "from infra.entry import main; main()"
WORKSPACE = "bench-lock"


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """Both rows."""
    root = harness.settings.data_dir / WORKSPACE
    root.mkdir()
    with harness.control_plane() as plane:
        _register(plane.port, root)
        env = {**os.environ, "TOWPATH_URL": f"http://127.0.0.1:{plane.port}"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # else it compiles its modules each time
        lock = [sys.executable, "-c", ENTRY, "lock", "--", "true"]
        flock = ["flock", str(root / "file"), "true"]
        nothing = [sys.executable, "-c", "pass"]
        taken: list[list[float]] = [[], [], []]
        _seconds(lock, root, env)  # compiles what has never been imported
        for _ in range(sizes.lock_commands):
            for command, seconds in zip((lock, flock, nothing), taken, strict=True):
                seconds.append(_seconds(command, root, env))
    ours, theirs, python = (median(seconds) * 1e3 for seconds in taken)
    return [row("lock-command", ours, theirs), row("lock-command-own", ours - python, python)]


def _seconds(command: Sequence[str], where: Path, env: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=where, env=env, check=True)
    return time.perf_counter() - started


def _register(port: int, root: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"root": str(root.resolve())})
    connection.request("PUT", f"/workspaces/{WORKSPACE}", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status in (200, 201), answer.read()
    connection.close()
