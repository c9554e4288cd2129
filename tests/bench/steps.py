"""`make bench-steps`: what one task costs each part of `towpath up`, counted from outside.

The parts run as users start them; tasks of `true` go through them one after the other, or several at once.
Processor time and wake-ups (voluntary context switches) come from /proc, messages from the NATS server's own
counts of each connection. What the parts do without any task in the same time is subtracted. A second turn
runs under strace, which counts fsyncs and, by the locks that SQLite takes in its shared memory, transactions
that write; these columns are empty where it cannot trace.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from infra.nats.ports_file import running_ports
from tests.bench.child import in_child
from tests.bench.figures import ALWAYS
from tests.bench.installation import Installation, up
from tests.bench.process_figures import JOBS, seconds_by_part, tree
from tests.bench.rows.tasks import CAPACITY, TURN_SECONDS, WARM_TASKS, one_by_one, rate

PARTS = ("api", "locks", "projector", "runner", JOBS, "nats-server")
COLUMNS = ("CPU ms", "wake-ups", "messages in", "messages out", "fsyncs", "SQL writes")
STRACE_SECONDS = 20.0
_CALL = re.compile(r"(\d+) +(fsync|fdatasync|fcntl)\((.*)")
_WRITE_LOCK = "l_type=F_WRLCK, l_whence=SEEK_SET, l_start=120, l_len=1"
"""What SQLite takes before it writes to a database with a write-ahead log."""

Counts = dict[str, Counter[str]]
"""By part, how much of each column."""


class NotPermitted(Exception):
    """This user may not trace processes, or strace is too slow."""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steps", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100, metavar="N", help="tasks of each turn")
    parser.add_argument("--at-once", action="store_true", help="over 16 connections instead of one by one")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="towpath-steps-") as home,
        up(Path(home), ALWAYS, CAPACITY) as installation,
    ):
        found = _steps(installation, given.tasks, at_once=given.at_once)
    sys.stdout.write(as_table(found) + "\n")
    return 0


def _steps(installation: Installation, count: int, *, at_once: bool) -> Counts:
    work = rate if at_once else one_by_one

    def turn(tasks: int) -> float:
        started = time.monotonic()
        in_child("tasks", lambda: work(installation, tasks), TURN_SECONDS)
        return time.monotonic() - started

    turn(WARM_TASKS)
    before = _counted(installation)
    seconds = turn(count)
    after = _counted(installation)
    time.sleep(seconds)
    found = _per_task(before, after, _counted(installation), count)
    if shutil.which("strace"):
        calls: Counts = {}
        with contextlib.suppress(NotPermitted), _traced(installation, calls):
            turn(count)
        for part, counter in calls.items():
            found[part].update({name: number / count for name, number in counter.items()})
    return found


def _per_task(before: Counts, after: Counts, idle: Counts, count: int) -> Counts:
    found: Counts = {part: Counter() for part in PARTS}
    for part, counts in after.items():
        for name, number in counts.items():
            found[part][name] = (2 * number - before[part][name] - idle[part][name]) / count
    return found


def _counted(installation: Installation) -> Counts:
    """All counts so far that need no tracing."""
    found: Counts = {part: Counter() for part in PARTS}
    for part, seconds in seconds_by_part(installation.pid).items():
        if part in found:
            found[part]["CPU ms"] = seconds * 1e3
    owners = dict[int, str]()
    for pid, part in _parts(installation).items():
        found[part]["wake-ups"] += _switches(pid)
        owners |= dict.fromkeys(_sockets(pid), part)
    for one in _connections(installation):
        part = owners.get(one["port"], "")
        if part in found:
            found[part]["messages in"] += one["out_msgs"]
            found[part]["messages out"] += one["in_msgs"]
            found["nats-server"]["messages in"] += one["in_msgs"]
            found["nats-server"]["messages out"] += one["out_msgs"]
    return found


def _parts(installation: Installation) -> dict[int, str]:
    return {
        one.pid: one.name
        for one in tree(installation.pid)
        if one.parent == installation.pid and one.name in PARTS
    }


def _switches(pid: int) -> int:
    texts = (task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in texts)


def _sockets(pid: int) -> list[int]:
    """The local ports of a process' connections."""
    inodes = set[str]()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    lines = (line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])
    return [int(fields[1].rpartition(":")[2], 16) for fields in lines if fields[9] in inodes]


def _connections(installation: Installation) -> list[dict[str, int]]:
    ports = running_ports(installation.settings.data_dir)
    assert ports is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.monitor}/connz?limit=1000") as answer:
        found: list[dict[str, int]] = json.load(answer)["connections"]
    return found


@contextlib.contextmanager
def _traced(installation: Installation, calls: Counts) -> Iterator[None]:
    """Count system calls of all parts until the context ends."""
    threads = _threads(_parts(installation))
    output = installation.settings.data_dir / "strace"
    command = [
        "strace",
        "-q",
        "-e",
        "trace=fsync,fdatasync,fcntl",
        "-o",
        str(output),
    ]  # children are not followed
    process = subprocess.Popen(command + [argument for id in threads for argument in ("-p", str(id))])
    try:
        _await_attached(threads)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STRACE_SECONDS)
    for line in output.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        part = threads.get(int(found[1])) if found else None
        if found is None or part is None:
            continue
        if found[2] != "fcntl":
            calls.setdefault(part, Counter())["fsyncs"] += 1
        elif _WRITE_LOCK in found[3]:
            calls.setdefault(part, Counter())["SQL writes"] += 1


def _threads(parts: dict[int, str]) -> dict[int, str]:
    """By the id of each thread, whose it is."""
    return {
        int(task.name): part for pid, part in parts.items() for task in Path(f"/proc/{pid}/task").iterdir()
    }


def _await_attached(threads: dict[int, str]) -> None:
    end = time.monotonic() + STRACE_SECONDS
    while any("\nTracerPid:\t0\n" in Path(f"/proc/{id}/status").read_text() for id in threads):
        if time.monotonic() > end:
            raise NotPermitted
        time.sleep(0.05)


def as_table(found: Counts) -> str:
    """A table in Markdown."""
    lines = [f"| part | {' | '.join(COLUMNS)} |", "|" + "---|" * (len(COLUMNS) + 1)]
    total = Counter[str]()
    for part in PARTS:
        lines.append(_row(part, found[part]))
        total.update({name: found[part][name] for name in ("CPU ms", "wake-ups", "fsyncs", "SQL writes")})
    return "\n".join([*lines, _row("all", total)])


def _row(part: str, counts: Counter[str]) -> str:
    return f"| {part} | {' | '.join(f'{counts[name]:.1f}' if name in counts else '-' for name in COLUMNS)} |"


if __name__ == "__main__":
    sys.exit(main())
