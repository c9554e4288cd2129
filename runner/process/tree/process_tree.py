"""The process tree from /proc, and signals that reach exactly the intended process.

Standard library only: the shim imports it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Collection, Iterable, Sequence

from runner.process.tree.proc_listing import children

DEAD = "ZX"
STOPPED = "Tt"
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


class ProcessEntry:
    """A process in /proc: its parent's pid, start in clock ticks since boot, state's letter, session."""

    __slots__ = ("parent", "session", "started", "state")

    def __init__(self, parent: int, started: str, state: str, session: int) -> None:
        self.parent, self.started = parent, started
        self.state, self.session = state, session


def process_table() -> dict[int, ProcessEntry]:
    """Every process in /proc by its pid. Raises OSError."""
    table = {}
    with os.scandir("/proc") as entries:
        for entry in entries:
            seen = look_at(int(entry.name)) if entry.name.isdigit() else None
            if seen is not None:
                table[int(entry.name)] = seen
    return table


def look_at(pid: int) -> ProcessEntry | None:
    """One process; None if it is gone or cannot be read.

    Raises OSError if this process can open no file: the state is then unknown.
    """
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        return None
    try:
        raw = os.read(handle, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(handle)
    fields = raw[raw.rindex(b")") + 2 :].split()
    return ProcessEntry(int(fields[1]), fields[19].decode(), fields[0].decode(), int(fields[3]))


def below(table: dict[int, ProcessEntry], roots: Iterable[int]) -> list[tuple[int, str]]:
    """(pid, start) of all living processes that descend from `roots`, parents first, without the roots."""
    children: dict[int, list[int]] = {}
    for pid, seen in table.items():
        children.setdefault(seen.parent, []).append(pid)
    found: list[tuple[int, str]] = []
    level = list(roots)
    while level:  # pop(): each parent once, even if a reused pid forms a cycle
        level = [child for parent in level for child in children.pop(parent, ())]
        found += [(pid, table[pid].started) for pid in level if table[pid].state not in DEAD]
    return found


def descendants(root: int) -> list[tuple[int, str]]:
    """(pid, start) of all living processes below `root`, parents first. Raises OSError."""
    return below(process_table(), [root])


def signal_below(numbers: Sequence[int], spared: Collection[int] = ()) -> list[tuple[int, str]]:
    """Signal all descendants but `spared`, once. Processes forked meanwhile need another call.

    Returns those that this process may not signal, since they have gained privileges. If /proc cannot be read
    (a job may use up all descriptors of the host or of its shim), only the children are signaled. Under a
    subreaper a killed child's children come next, so repeated calls reach all.
    """
    refusing = []
    try:
        for pid, started in descendants(os.getpid()):
            if pid not in spared and not all(send(pid, started, number) for number in numbers):
                refusing.append((pid, started))
    except OSError:
        for pid in children():
            for number in numbers if pid not in spared else ():
                with contextlib.suppress(OSError):
                    os.kill(pid, number)  # a child keeps its pid until it is waited for
    return refusing


def refuses(pid: int, started: str) -> bool:
    """Whether that process is alive and may not be signaled by this one. Raises as `send`."""
    seen = look_at(pid)
    return seen is not None and seen.state not in DEAD and not send(pid, started, 0)


def send(pid: int, started: str, number: int) -> bool:
    """Signal exactly that process; a process that reuses the pid is left alone.

    Returns False if this process may not signal it, True also if it is gone. Raises OSError if this process
    can open no file.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        return True
    try:
        seen = look_at(pid)
        if seen is not None and seen.started == started:
            signal.pidfd_send_signal(handle, number)
    except PermissionError:  # it has gained privileges: the next sweep retries
        return False
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
    finally:
        os.close(handle)
    return True
