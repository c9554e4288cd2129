"""The end of a process."""

from __future__ import annotations

import subprocess
import sys

STUBBORN = """
import asyncio
from infra.processes import run
from infra.settings import Settings

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


def test_a_task_that_loses_a_cancellation_is_canceled_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "0 3\n"
