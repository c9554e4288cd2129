"""`towpath lock` as a process, and those that it starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.towpath import DEADLINE, TOWPATH, Up

GRANDCHILDREN = "(setsid sleep 300 &); (sh -c 'trap : TERM HUP; setsid sleep 300' &); echo up; sleep 300"


SLEEPING = b"sleep\x00300\x00"


def ran(
    up: Up, where: Path, *command: str, given: bytes = b"", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """`towpath lock` with these arguments, to its end."""
    return subprocess.run(
        [TOWPATH, "lock", *command],
        cwd=where,
        env={**up.home.env, "TOWPATH_URL": up.url, **env},
        input=given,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )


@contextmanager
def started(up: Up, where: Path, *command: str, under: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """`towpath lock` with these arguments, run by the program `under`.

    What a failed test leaves of it is ended by the home. It has a process group of its own: the kernel sends
    SIGHUP to all of a group that has a stopped process and no parent left in its session.
    """
    process = subprocess.Popen(
        [*under, TOWPATH, "lock", *command],
        cwd=where,
        env={**up.home.env, "TOWPATH_URL": up.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sleepers(where: Path) -> list[int]:
    """Every process that works in the directory, whatever session or parent it has."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == where and (entry / "cmdline").read_bytes() == SLEEPING:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
