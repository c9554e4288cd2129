"""Workspace registrations as a fold: which id means which root now.

Registrations of different workspaces race: no compare-and-set covers two of them. So the log's order
decides. A registration whose root overlaps an earlier, still registered one is void in every fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from domain.errors import NotFound
from domain.log import Recorded
from domain.paths import roots_overlap


@dataclass(frozen=True, slots=True)
class Registration:
    """A workspace's valid registration; `seq` is the stream sequence that made it so."""

    id: str
    root: str
    on_runner_lost: str
    seq: int
    version: int


class Registrations(Protocol):
    """Where the valid registrations can be asked for."""

    async def current(self, workspace: str) -> Registration | None:
        """The valid registration of `workspace`, decided on everything the leader has."""
        ...


def not_registered(workspace: str) -> NotFound:
    """The error of whoever needs a workspace that is not there."""
    return NotFound(
        "no-such-workspace",
        f"workspace {workspace} is not registered; register it with PUT /workspaces/{workspace}",
    )


class WorkspaceTable:
    """All valid registrations, folded from the log in order."""

    def __init__(self, registrations: Iterable[Registration] = ()) -> None:
        self._by_id = {one.id: one for one in registrations}

    def __iter__(self) -> Any:
        return iter(sorted(self._by_id.values(), key=lambda one: one.id))

    def get(self, workspace: str) -> Registration | None:
        """The valid registration of `workspace`, if there is one."""
        return self._by_id.get(workspace)

    def overlapping(self, workspace: str, root: str) -> Registration | None:
        """Another workspace whose root equals, contains or lies inside `root`."""
        for other in self._by_id.values():
            if other.id != workspace and roots_overlap(other.root, root):
                return other
        return None

    def fold(self, event: Recorded) -> None:
        """Apply one event; anything but a registration changes nothing."""
        if event.kind != "workspace":
            return
        if event.event == "removed":
            self._by_id.pop(event.subject_id, None)
        elif self.overlapping(event.subject_id, event.data["root"]) is None:
            self._by_id[event.subject_id] = Registration(
                id=event.subject_id,
                root=event.data["root"],
                on_runner_lost=event.data["on_runner_lost"],
                seq=event.seq,
                version=event.version,
            )

    def snapshot(self) -> list[dict[str, Any]]:
        """Plain data that `restore` takes back."""
        return [asdict(one) for one in self]

    @classmethod
    def restore(cls, state: list[dict[str, Any]]) -> WorkspaceTable:
        """The table that `snapshot` was taken of."""
        return cls(Registration(**one) for one in state)
