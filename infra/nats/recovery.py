"""Progress of an embedded nats-server's recovery, which may take minutes before the server listens."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

LOG_BYTES = 64 * 1024
CONSUMERS, STREAMS = 30, 3
"""Factors for the usual start time while the server recovers these. Damaged streams may never end."""
_STREAM_WORDS = ("Starting restore for stream", "Restored ")
_CONSUMER_WORDS = ("Recovering ",)


def patience(log: Path, pid: int) -> int:
    """How many times the usual time to wait, judged by the last line that process `pid` wrote to its log."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.startswith(f"[{pid}]")), "")
        if any(words in last for words in _CONSUMER_WORDS):
            return CONSUMERS
        if any(words in last for words in _STREAM_WORDS):
            return STREAMS
    return 1


def forget_consumers(stream: Path, ours: Collection[str]) -> list[str]:
    """Delete a stream's stored consumers that are not `ours`; returns their names.

    Call it only while no server runs on `stream`. Each consumer makes the start slower, and other programs
    may make any number. A reader makes its consumer again, at the position that it has stored.
    """
    with contextlib.suppress(FileNotFoundError):
        foreign = [path for path in (stream / "obs").iterdir() if path.name not in ours and path.is_dir()]
        for path in foreign:
            shutil.rmtree(path)
        return [path.name for path in foreign]
    return []
