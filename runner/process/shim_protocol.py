"""The protocol of shim and guard: messages on their pipe, and the contents of their lock file.

A job that gets hold of either could say anything there, so nothing is taken on trust: a line is bounded
(by the stream's own limit), has exactly the fields that it should have, and each process that it names is
looked up. The shim itself knows the standard library only and does not import this.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runner.process.process_tree import look_at

Why = Literal[
    "exit", "timeout", "canceled", "lease", "runner-gone", "stopped", "forgotten", "error", "shim-lost"
]
Process = tuple[Annotated[int, Field(gt=1, lt=2**31)], Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]]
"""A pid, and its start in clock ticks since boot."""
COMMAND = b"from runner.process.shim import main"
"""Stands in the command line of every guard and shim."""


class Rubbish(Exception):
    """What no shim says. The message says why, as the rest of a sentence about the shim."""


class Facts(BaseModel):
    """Guard and shim, as far as they lived when it was written down, the job's cgroup, and the boot."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    processes: Annotated[list[Process], Field(max_length=2)]
    cgroup: str | None
    boot: str


class Guarded(Facts):
    event: Literal["guarded"]


class Tick(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    event: Literal["tick"] = "tick"


class Started(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    event: Literal["started"] = "started"
    pid: int
    started_at: AwareDatetime


class Over(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    event: Literal["ended"] = "ended"
    why: Why
    finished_at: AwareDatetime
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    signal: Annotated[int, Field(ge=1, le=64)] | None = None
    message: str | None = None


Said = Guarded | Tick | Started | Over
_LINE: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="event")])


def understand(line: bytes) -> Said:
    """One line of theirs. Raises Rubbish."""
    try:
        return _LINE.validate_json(line)
    except ValidationError:
        raise Rubbish("said what no shim says") from None


def written_facts(text: bytes) -> Facts | None:
    """What stands in the file of a lock; None where that is nothing that a guard writes."""
    try:
        return Facts.model_validate_json(text)
    except ValidationError:
        return None


def this_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def keepers(facts: Facts, guard: int | None = None) -> list[tuple[int, str]]:
    """Those of the named processes that are what they are said to be; `guard` is the pid that it must have.

    A guard leads a session, its shim stays in it, and a job leaves it before its program starts. Both run
    this package's program as the runner's own user. What is not all of that is left alone, and so is a pid
    that went to another process since.
    """
    if facts.boot != this_boot() or not facts.processes:
        return []
    leader = facts.processes[0][0] if guard is None else guard
    return [(pid, started) for pid, started in facts.processes if _is_keeper(pid, started, leader)]


def _is_keeper(pid: int, started: str, leader: int) -> bool:
    seen = look_at(pid)
    if seen is None or seen.started != started or seen.session != leader or pid == os.getpid():
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    users = next((line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")), [])
    ours = COMMAND in command and set(users) == {str(os.geteuid())}
    again = look_at(pid)  # so both files were of this process
    return ours and again is not None and again.started == started
