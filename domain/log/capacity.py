"""Capacity of the log for new work: a reserve is kept for events that end work already begun.

When the log is nearly full, new tasks, attempts and registrations are refused, while ends, grants, releases
and cancels still fit: so what runs comes to its end and every lock comes home.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import LogFull

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that bounds the log: `left` bytes until it is reached, `reserve` of them for what ends work.

    `name` says which, `advice` how to make room.
    """

    name: str
    left: int
    reserve: int
    advice: str

    @property
    def spare(self) -> int:
        """Bytes left for new work; below zero, the reserve is in use."""
        return self.left - self.reserve

    @property
    def shortage(self) -> str:
        """What is missing before new work is taken, and what to do; for where there is nothing to spare."""
        return f"{self.name} is {_mib_up(-self.spare)} MiB short of room for new work: {self.advice}"


def _mib_up(size: int) -> int:
    return size // _MIB + 1


class LogRoom(Protocol):
    """What is known of the log's bounds; asking costs nothing."""

    def bounds(self) -> Sequence[Bound]:
        """Every bound as last measured; none where nothing is known."""
        ...


class AmpleRoom:
    """A log without bounds."""

    def bounds(self) -> Sequence[Bound]:
        """None."""
        return ()


def check_room(room: LogRoom) -> None:
    """Refuse new work that would go into the reserve. What is not known refuses nothing.

    Raises:
        LogFull: which bound is nearly reached, and how to make room.
    """
    for bound in room.bounds():
        if bound.spare <= 0:
            raise LogFull(
                "log-nearly-full",
                f"{bound.shortage}, then send this again",
                {"bound": bound.name, "left_bytes": max(bound.left, 0), "reserve_bytes": bound.reserve},
            )
