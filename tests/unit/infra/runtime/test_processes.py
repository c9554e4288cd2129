"""The end of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

STUBBORN = """
import asyncio
from infra.runtime.processes import run
from infra.config.settings import Settings

lost = []

async def stubborn():
    while len(lost) < 3:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            lost.append(1)
        else:
            return

async def main(settings, stop):
    asyncio.create_task(stubborn())
    await asyncio.sleep(0)

code = run(main, Settings(), ())
print(code, len(lost))
"""


WAITING = """
import asyncio, os, signal, sys
from infra.runtime.processes import run
from infra.config.settings import Settings

if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

async def main(settings, stop):
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    await asyncio.wait_for(stop.wait(), 30)
    print("in order")

sys.exit(run(main, Settings()))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_process_that_stands_alone_stops_in_order(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITING, name], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "in order\n"), done.stderr


def test_a_hang_up_that_was_ignored_at_the_start_stays_ignored() -> None:
    ignoring = WAITING.replace("30)", "0.2)")
    done = subprocess.run(
        [sys.executable, "-c", ignoring, "SIGHUP", "nohup"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "in order" not in done.stdout
    assert "TimeoutError" in done.stderr  # it went on until its own end


def test_a_task_that_loses_a_cancellation_is_canceled_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "0 3\n"
