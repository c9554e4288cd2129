"""Capacity of the log for new work: a reserve is kept for the events that end work already begun.

When the log is nearly full, new tasks, attempts and registrations are refused. Ends, grants, releases and
cancels still fit, so running attempts can end and release their locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import LogFull

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit of the log: `left` bytes until it is reached, of which `reserve` are for ending work.

    `name` names the limit; `advice` tells an operator how to make room.
    """

    name: str
    left: int
    reserve: int
    advice: str

    @property
    def spare(self) -> int:
        """Bytes left for new work; negative once the reserve is in use."""
        return self.left - self.reserve

    @property
    def shortage(self) -> str:
        """How many bytes are missing for new work, and what to do; only valid without `spare`."""
        return f"{self.name} is {_mib_up(-self.spare)} MiB short of room for new work: {self.advice}"


def _mib_up(size: int) -> int:
    return size // _MIB + 1


class LogCapacity(Protocol):
    """The log's limits as last measured; a call does no I/O."""

    def bounds(self) -> Sequence[Bound]:
        """Every known limit; empty if none was measured."""
        ...


class AmpleCapacity:
    """A log without limits."""

    def bounds(self) -> Sequence[Bound]:
        """No limits."""
        return ()


def check_capacity(capacity: LogCapacity) -> None:
    """Refuse new work that would use the reserve. Unknown limits fail open; the broker still rejects.

    Raises:
        LogFull: with the limit that is nearly reached, and how to make room.
    """
    for bound in capacity.bounds():
        if bound.spare <= 0:
            raise LogFull(
                "log-nearly-full",
                f"{bound.shortage}, then send this again",
                {"bound": bound.name, "left_bytes": max(bound.left, 0), "reserve_bytes": bound.reserve},
            )
