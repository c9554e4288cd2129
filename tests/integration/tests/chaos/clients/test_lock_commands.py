"""A lock command that does not end is killed, and the history has what it was doing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.chaos.clients.lock_commands import LockCommands
from tests.chaos.clients.operators import Operators
from tests.chaos.history import History
from tests.support.waiting import eventually

_STUCK = """
import sys, time
def hangs():
    print("up", file=sys.stderr, flush=True)
    time.sleep(300)
hangs()
"""


async def test_what_does_not_end_is_killed_and_tells_where_it_was(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    operators = Operators(history, [], ("", ""), seed=1)
    commands = LockCommands("towpath", operators, history, [], {}, 1.0, seed=1, longest_seconds=0.0)
    commands.stop.set()
    words = tmp_path / "words"
    with words.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _STUCK, stderr=errors, env={"PYTHONFAULTHANDLER": "1"}
        )
    await eventually(lambda: words.read_text() == "up\n", 30)
    assert await commands._ended(process, words) is None
    told = words.read_text()
    assert told.startswith(f"up\n{process.pid} python")
    assert "in hangs" in told
    assert process.returncode is not None
    history.close()
