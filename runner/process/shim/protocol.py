"""The protocol of shim and guard: messages on their pipe, and the contents of their lock file.

A job that can write to either could forge both, so all input is validated: a line has a maximum length (the
stream's own limit) and exactly the expected fields, and each named process is looked up. The shim uses only
the standard library and does not import this module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runner.clock import this_boot as this_boot
from runner.process.tree.process_tree import look_at
from runner.process.tree.refusals import MOST_NAMED

Why = Literal[
    "exit", "timeout", "canceled", "lease", "runner-gone", "stopped", "forgotten", "error", "shim-lost"
]
Process = tuple[Annotated[int, Field(gt=1, lt=2**31)], Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]]
"""A pid, and its start in clock ticks since boot."""
COMMAND = b"from runner.process.shim"
"""Part of the command line of every guard and shim, those of an earlier version included."""


class InvalidMessage(Exception):
    """An invalid message. The text says why, as the rest of a sentence about the shim."""


class Facts(BaseModel):
    """Guard and shim (those alive at the time of writing), the job's cgroup, and the boot."""

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


class SignalRefused(BaseModel):
    """Processes that could not be signaled; `why` the job is being ended."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    event: Literal["refused"] = "refused"
    processes: Annotated[list[Process], Field(max_length=MOST_NAMED)]
    message: Annotated[str, Field(max_length=200)]
    why: Why


class Over(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    event: Literal["ended"] = "ended"
    why: Why
    finished_at: AwareDatetime
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    signal: Annotated[int, Field(ge=1, le=64)] | None = None
    message: str | None = None


Said = Guarded | Tick | Started | SignalRefused | Over
_LINE: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="event")])


def parse_message(line: bytes) -> Said:
    """Parse one line of guard or shim. Raises InvalidMessage."""
    try:
        return _LINE.validate_json(line)
    except ValidationError:
        raise InvalidMessage("said what no shim says") from None


def written_facts(text: bytes) -> Facts | None:
    """The content of a lock's file; None if a guard would not write it."""
    try:
        return Facts.model_validate_json(text)
    except ValidationError:
        return None


def keepers(facts: Facts, guard: int | None = None) -> list[tuple[int, str]]:
    """The named processes that really are guard and shim; `guard` is the pid that the guard must have.

    A guard leads a session and its shim stays in it; a job leaves it before its program starts. Both run this
    package's program as the runner's user. Processes that differ in any of this are left alone, and so is a
    process that reuses a pid.
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
    again = look_at(pid)  # both files were read from the same process
    return ours and again is not None and again.started == started
