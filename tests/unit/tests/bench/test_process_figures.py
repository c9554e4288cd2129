"""What the bench learns from the system about a tree of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.process_figures import JOBS, anonymous_bytes, seconds_by_part, tree

BURN = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
NAMED = """
import ctypes, subprocess, sys
ctypes.CDLL(None).prctl(15, b'runner')
subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)
held = bytearray(b'x' * 20_000_000)
print('ready', flush=True)
sys.stdin.read()
"""


@contextmanager
def _runner_with_an_ended_job() -> Iterator[int]:
    command = [sys.executable, "-c", NAMED, BURN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.stdin.close()


def test_the_time_of_jobs_that_have_ended_is_theirs_and_not_the_runners() -> None:
    before = seconds_by_part(os.getpid())
    with _runner_with_an_ended_job():
        after = seconds_by_part(os.getpid())

    assert round(after[JOBS] - before.get(JOBS, 0.0), 2) >= 0.2  # a sum of ticks of 0.01 s
    assert "runner" in after
    assert "up" in after


def test_a_tree_has_its_root_first_and_all_below_it() -> None:
    with _runner_with_an_ended_job() as pid:
        found = tree(os.getpid())

    assert found[0].pid == os.getpid()
    assert {(one.pid, one.name) for one in found} >= {(pid, "runner")}


def test_memory_that_a_process_has_written_to_counts() -> None:
    with _runner_with_an_ended_job() as pid:
        assert 20_000_000 < anonymous_bytes(pid) < 100_000_000
