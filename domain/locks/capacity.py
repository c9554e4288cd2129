"""Capacity of a workspace's locks: bounds on open claims, checked before `dispatched` is recorded.

Each open claim costs every process that folds the log memory, and every answer about the workspace time. So
a workspace has room for a number of claims and for a number of characters in their paths; beyond that a
dispatch is refused, and nothing is recorded. What this process has appended and not folded yet counts.
Other API processes dispatch at the same moment, so a few claims more than the bound may stand in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from domain.errors import Refused
from domain.locks.workspace_locks import OpenSize

MAX_OPEN_CLAIMS = 2_000
MAX_OPEN_PATH_CHARS = 32 << 20


class OpenClaims(Protocol):
    """A fold of the log that knows what is open."""

    @property
    def seq(self) -> int:
        """The last sequence folded."""
        ...

    def open_size(self, workspace: str) -> OpenSize:
        """How much is open in a workspace."""
        ...


class Reservation:
    """Room for one claim, from before it is decided until its `dispatched`, at `seq`, is folded."""

    def __init__(self, room: ClaimRoom, workspace: str, paths: Sequence[str]) -> None:
        self._room = room
        self.workspace = workspace
        self.path_chars = sum(map(len, paths))
        self.seq: int | None = None

    def check(self) -> None:
        """Refuse the claim where there is no room for it.

        Raises:
            Refused: `workspace-full`; how much is open, and what to do.
        """
        self._room.check(self)


class ClaimRoom:
    """The room of all workspaces, as far as this process knows."""

    def __init__(
        self,
        claims: OpenClaims,
        most_claims: int = MAX_OPEN_CLAIMS,
        most_path_chars: int = MAX_OPEN_PATH_CHARS,
    ) -> None:
        self._claims = claims
        self._most_claims, self._most_path_chars = most_claims, most_path_chars
        self._reserved: dict[str, list[Reservation]] = {}

    @contextmanager
    def reserve(self, workspace: str, paths: Sequence[str]) -> Iterator[Reservation]:
        """A reservation; without a `seq` at the end nothing was appended, and the room is free again."""
        reserved = self._reserved.setdefault(workspace, [])
        one = Reservation(self, workspace, paths)
        reserved.append(one)
        try:
            yield one
        finally:
            if one.seq is None:
                self._forget(one)

    def check(self, wanted: Reservation) -> None:
        """See `Reservation.check`."""
        folded = self._claims.seq
        for one in [*self._reserved[wanted.workspace]]:
            if one.seq is not None and one.seq <= folded:
                self._forget(one)
        size = self._claims.open_size(wanted.workspace)
        claims, chars = size.claims, size.path_chars
        for one in self._reserved[wanted.workspace]:
            if one is wanted:
                break
            claims, chars = claims + 1, chars + one.path_chars
        if claims >= self._most_claims:
            raise _full(wanted.workspace, f"{claims} claims", "claims", claims, self._most_claims)
        if chars + wanted.path_chars > self._most_path_chars:
            what = f"lock paths of {chars} characters"
            raise _full(wanted.workspace, what, "path-characters", chars, self._most_path_chars)

    def _forget(self, one: Reservation) -> None:
        reserved = self._reserved[one.workspace]
        reserved.remove(one)
        if not reserved:
            del self._reserved[one.workspace]


def _full(workspace: str, what: str, bound: str, there: int, most: int) -> Refused:
    return Refused(
        "workspace-full",
        f"{what} are open in workspace {workspace}, waiting or holding, and {most} is the most: wait until "
        "some have ended or cancel some, claim directories instead of many paths, or use more workspaces; "
        "then dispatch again",
        {"workspace": workspace, "bound": bound, "open": there, "most": most},
    )
