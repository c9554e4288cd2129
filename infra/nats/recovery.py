"""Progress of an embedded nats-server's recovery, which may take minutes before it listens."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

LOG_BYTES = 64 * 1024
CONSUMERS, STREAMS = 30, 3
"""How many times the usual time a start may take that is reading these. Damaged streams may never end."""
_STREAM_WORDS = ("Starting restore for stream", "Restored ")
_CONSUMER_WORDS = ("Recovering ",)


def patience(log: Path, pid: int) -> int:
    """How many times the usual time to wait, by what process `pid` wrote last into its log."""
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
    """Delete the stored consumers of a stream's directory that are not `ours`; their names.

    Only while no server runs on it. Each costs time at a start, and others may have made any number. A
    program that reads makes its consumer again, behind the position it has kept.
    """
    with contextlib.suppress(FileNotFoundError):
        foreign = [path for path in (stream / "obs").iterdir() if path.name not in ours and path.is_dir()]
        for path in foreign:
            shutil.rmtree(path)
        return [path.name for path in foreign]
    return []
