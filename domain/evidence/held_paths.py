"""Index of held absolute paths across workspaces, to find two exclusive holders in a history.

Roots of workspaces never overlap and claims lie below their workspace's root, so claims in two workspaces can
never cover the same file. This index compares absolute paths, and so detects a history that breaks the rule.
"""

from __future__ import annotations

from domain.locks.claims import Claim, Key
from domain.locks.table import LockTable
from domain.log.payloads import LockPayload
from domain.log.record import Recorded
from domain.workspaces.path_index import Cover, PathIndex
from domain.workspaces.paths import Components, components, paths_overlap, plain_path

Place = tuple[str, str]


class HeldPaths:
    """Claims with valid grants, by workspace and root."""

    def __init__(self) -> None:
        self._held: dict[Place, dict[Key, tuple[Claim, int]]] = {}
        self._places: dict[Key, Place] = {}
        self._near: dict[Place, list[Place]] = {}
        self._roots: PathIndex[Place] = PathIndex()

    def follow(self, event: Recorded, table: LockTable) -> None:
        """Apply a lock fact that `table` has folded."""
        fact: LockPayload = event.data
        key = (fact["task_id"], fact["attempt"])
        if event.event == "granted":
            grant = table.valid_grant(*key)
            if grant is not None:
                place = self._places[key] = self._place(grant.claim)
                self._held[place][key] = (grant.claim, grant.token)
        elif event.event == "released" and key in self._places:
            del self._held[self._places.pop(key)][key]

    def _place(self, claim: Claim) -> Place:
        """The place of a claim; a new place is linked with overlapping places of other workspaces."""
        place = (claim.workspace, claim.root)
        if place not in self._held:
            cover = Cover([plain_path(claim.root)])
            near = sorted(other for other in self._roots.overlapping(cover) if other[0] != place[0])
            for other in near:
                self._near[other].append(place)
            self._held[place], self._near[place] = {}, near
            self._roots.add(place, cover)
        return place

    def fault(self, claim: Claim) -> str | None:
        """A sentence that names a claim of another workspace holding the same files; None without one."""
        for place in self._near[self._place(claim)]:
            for other, token in self._held[place].values():
                both_read = other.mode == claim.mode == "shared"
                if not both_read and paths_overlap(_absolute(claim), _absolute(other)):
                    return (
                        f"it is granted below {claim.root} while attempt {other.attempt} of task "
                        f"{other.task_id} holds the same files by workspace {place[0]} at {other.root}, "
                        f"since sequence {token}"
                    )
        return None


def _absolute(claim: Claim) -> list[Components]:
    base = components(claim.root)
    return [base + components(path) for path in claim.paths] or [base]
