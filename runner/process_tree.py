"""Who descends from whom, read from /proc, and signals that reach exactly the process that was meant.

Standard library only: the shim imports it.
"""

from __future__ import annotations

import os
import signal


def process_table() -> dict[int, tuple[int, str]]:
    """pid -> (parent's pid, start time in clock ticks) of every process in /proc."""
    table = {}
    with os.scandir("/proc") as entries:
        for entry in entries:
            stat = _stat(int(entry.name)) if entry.name.isdigit() else None
            if stat is not None:
                table[int(entry.name)] = stat
    return table


def _stat(pid: int) -> tuple[int, str] | None:
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(handle, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(handle)
    fields = raw[raw.rindex(b")") + 2 :].split()
    return int(fields[1]), fields[19].decode()


def descendants(root: int) -> list[tuple[int, str]]:
    """(pid, start time) of all processes below `root`, parents first."""
    table = process_table()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found: list[tuple[int, str]] = []
    level = [root]
    while level:  # pop(): each parent once, also where a reused pid closes a circle
        level = [child for parent in level for child in children.pop(parent, ())]
        found += [(pid, table[pid][1]) for pid in level]
    return found


def send(pid: int, started: str, number: int) -> None:
    """Signal exactly that process: a pid that was given to another one meanwhile is left alone."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        stat = _stat(pid)
        if stat is not None and stat[1] == started:
            signal.pidfd_send_signal(handle, number)
    except OSError:  # gone, or (setuid) not ours to signal: the sweep comes back to it
        return
    finally:
        os.close(handle)
