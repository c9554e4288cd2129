"""Capacity of a workspace's locks: bounds on open claims, checked before `dispatched` is recorded.

Each open claim costs memory in every process that folds the log, and time in every answer about the
workspace. A workspace therefore bounds the number of claims and the number of characters in their paths; a
dispatch beyond either is refused, and no event is recorded. Claims that this process has appended but not
folded yet count. Other API processes dispatch concurrently, so the log may hold a few claims more than the
bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from domain.errors import Refused
from domain.identifiers import LogSeq, WorkspaceId
from domain.locks.workspace_locks import OpenSize

MAX_OPEN_CLAIMS = 2_000
MAX_OPEN_PATH_CHARS = 32 << 20


class OpenClaims(Protocol):
    """A fold of the log that counts open claims."""

    @property
    def seq(self) -> LogSeq:
        """The last sequence folded."""
        ...

    def open_size(self, workspace: WorkspaceId) -> OpenSize:
        """The number and size of a workspace's open claims."""
        ...


class Reservation:
    """Room for one claim, from before its decision until its `dispatched`, at `seq`, is folded."""

    def __init__(self, capacity: ClaimCapacity, workspace: WorkspaceId, paths: Sequence[str]) -> None:
        self._capacity = capacity
        self.workspace = workspace
        self.path_chars = sum(map(len, paths))
        self.seq: LogSeq | None = None

    def check(self) -> None:
        """Refuse the claim if the workspace has no room for it.

        Raises:
            Refused: `workspace-full`, with the bound, the current count and what to do.
        """
        self._capacity.check(self)


class ClaimCapacity:
    """The claims that each workspace has room for, from this process's fold and reservations."""

    def __init__(
        self,
        claims: OpenClaims,
        most_claims: int = MAX_OPEN_CLAIMS,
        most_path_chars: int = MAX_OPEN_PATH_CHARS,
    ) -> None:
        self._claims = claims
        self._most_claims, self._most_path_chars = most_claims, most_path_chars
        self._reserved: dict[WorkspaceId, list[Reservation]] = {}

    @contextmanager
    def reserve(self, workspace: WorkspaceId, paths: Sequence[str]) -> Iterator[Reservation]:
        """Reserve room; it is freed on exit unless the caller has set `seq`, the sequence of its append."""
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


def _full(workspace: WorkspaceId, what: str, bound: str, there: int, most: int) -> Refused:
    return Refused(
        "workspace-full",
        f"{what} are open in workspace {workspace}, waiting or holding, and {most} is the most: wait until "
        "some have ended or cancel some, claim directories instead of many paths, or use more workspaces; "
        "then dispatch again",
        {"workspace": workspace, "bound": bound, "open": there, "most": most},
    )
