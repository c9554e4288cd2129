"""The history of a run: one JSON object a line, written as things happen, so that a crash loses nothing.

Every operation has a number. It is announced (`invoke`) before anything is sent and ends as `ok` (with what
the answer said), `fail` (refused: it must have changed nothing) or `unknown` (no answer, or one that does not
say). The number travels into the log with the operation, so that the checker can tell whose event is whose.
Times are seconds of CLOCK_BOOTTIME, the clock that jobs write into their marks, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PID_BASE = 1_000_000_000
"""A `running` report has no free text, but a process id; no real one is so high."""


def boottime() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def words_of(op: int) -> str:
    """What an operation says as its reason or message."""
    return f"op {op}"


def pid_of(op: int) -> int:
    """What an operation gives as the process id."""
    return PID_BASE + op


class History:
    """Appends to one file. `close` it, or lose nothing but the last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w", buffering=1, encoding="utf-8")
        self._ops = 0

    def invoke(self, who: str, do: str, **fields: Any) -> int:
        """Announce an operation; its number."""
        self._ops += 1
        self.note("invoke", op=self._ops, who=who, do=do, **fields)
        return self._ops

    def note(self, line: str, **fields: Any) -> None:
        """Write one line of the kind `line`."""
        self._file.write(json.dumps({"line": line, "at": round(boottime(), 6), **fields}) + "\n")

    def close(self) -> None:
        self._file.close()


def read_history(path: Path) -> Iterator[Json]:
    """All lines but a last one that was cut off."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                if line.endswith("\n"):
                    raise ValueError(f"{path}, line {number}, is not JSON: {error}") from None
