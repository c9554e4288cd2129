"""What the system tells of running processes: processor time by part of `towpath up`, and memory.

A process counts with the children that it has waited for, so a tree's sum misses nothing that ended below it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

JOBS = "jobs"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its name, its parent, and seconds of processor time of its own and of ended children."""

    pid: int
    name: str
    parent: int
    own: float
    ended: float


def tree(root: int) -> list[Process]:
    """`root` and its descendants, parents first."""
    below = defaultdict[int, list[Process]](list)
    found = []
    for entry in Path("/proc").iterdir():
        one = _look(entry) if entry.name.isdecimal() else None
        if one is not None:
            below[one.parent].append(one)
            found += [one] if one.pid == root else []
    for one in found:
        found += below[one.pid]
    return found


def seconds_by_part(root: int) -> dict[str, float]:
    """Processor time of `towpath up` by part; JOBS: all that the runner started, in the whole."""
    taken = defaultdict[str, float](float)
    part_of: dict[int, str] = {}
    for one in tree(root):
        if one.pid == root:
            part = "up"
        elif one.parent == root:
            part = one.name
        else:
            part = JOBS if part_of[one.parent] == "runner" else part_of[one.parent]
        part_of[one.pid] = part
        taken[part] += one.own
        taken[JOBS if part == "runner" else part] += one.ended
    return dict(taken)


def anonymous_bytes(pid: int) -> int:
    """Memory of no file. Pages shared after a fork count by their share, so that sums are right."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no Pss_Anon of process {pid}")


def _look(entry: Path) -> Process | None:
    try:
        text = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
    user, system, ended_user, ended_system = (int(field) / _TICKS_PER_SECOND for field in rest[11:15])
    return Process(int(entry.name), name, int(rest[1]), user + system, ended_user + ended_system)
