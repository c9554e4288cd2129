"""The workspace registry: the root directory of each workspace id. Pure.

Registrations of different workspaces race: no compare-and-set covers two of them, nor a registration and a
claim. The order of the log decides between them; `domain.locks.judging` applies that rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from domain.errors import NotFound
from domain.identifiers import LogSeq, WorkspaceId
from domain.workspaces.path_index import Cover, PathIndex
from domain.workspaces.paths import plain_path


@dataclass(frozen=True, slots=True)
class Registration:
    """A workspace's valid registration; `seq` is the stream sequence of its `registered` event."""

    id: WorkspaceId
    root: str
    on_runner_lost: str
    seq: LogSeq
    version: int


def not_registered(workspace: WorkspaceId) -> NotFound:
    """The error for a workspace that is not registered."""
    return NotFound(
        "no-such-workspace",
        f"workspace {workspace} is not registered; register it with PUT /workspaces/{workspace}",
    )


class WorkspaceTable:
    """All valid registrations."""

    def __init__(self, registrations: Iterable[Registration] = ()) -> None:
        self._by_id: dict[WorkspaceId, Registration] = {}
        self._roots: PathIndex[WorkspaceId] = PathIndex()
        for one in registrations:
            self.put(one)

    def __iter__(self) -> Iterator[Registration]:
        return iter(sorted(self._by_id.values(), key=lambda one: one.id))

    def get(self, workspace: WorkspaceId) -> Registration | None:
        """The valid registration of `workspace`, or None."""
        return self._by_id.get(workspace)

    def overlapping(self, workspace: WorkspaceId, root: str) -> Registration | None:
        """Another workspace whose root equals, contains or lies inside `root`."""
        found = self._roots.overlapping(_cover(root)) - {workspace}
        return min((self._by_id[name] for name in found), key=lambda other: other.seq, default=None)

    def put(self, registration: Registration) -> None:
        """Make this the valid registration of its workspace."""
        self.remove(registration.id)
        self._by_id[registration.id] = registration
        self._roots.add(registration.id, _cover(registration.root))

    def remove(self, workspace: WorkspaceId) -> None:
        """Forget the valid registration of `workspace`, if it has one."""
        gone = self._by_id.pop(workspace, None)
        if gone is not None:
            self._roots.remove(workspace, _cover(gone.root))

    def snapshot(self) -> list[dict[str, Any]]:
        """The state as plain data, for `restore`."""
        return [asdict(one) for one in self]

    @classmethod
    def restore(cls, state: list[dict[str, Any]]) -> WorkspaceTable:
        """The table whose state `snapshot` returned."""
        return cls(Registration(**one) for one in state)


def _cover(root: str) -> Cover:
    return Cover([plain_path(root)])
