"""Index of held absolute paths across workspaces, to find two exclusive holders in a history.

Roots of workspaces do not overlap and claims follow their workspace's root, so no two workspaces can ever
hold the same file. This looks at the paths themselves, and so finds where that was broken.
"""

from __future__ import annotations

from domain.locks.claims import Claim, Key
from domain.locks.table import LockTable
from domain.log.record import Recorded
from domain.workspaces.paths import Components, components, paths_overlap

Place = tuple[str, Components]


class HeldPaths:
    """Claims that hold by grants that are not void, by workspace and root."""

    def __init__(self) -> None:
        self._held: dict[Place, dict[Key, tuple[Claim, int]]] = {}
        self._places: dict[Key, Place] = {}

    def follow(self, event: Recorded, table: LockTable) -> None:
        """Take a lock fact over; `table` has folded it."""
        key = (event.data["task_id"], event.data["attempt"])
        if event.event == "granted":
            grant = table.valid_grant(*key)
            if grant is not None:
                place = (grant.claim.workspace, components(grant.claim.root))
                self._held.setdefault(place, {})[key] = (grant.claim, grant.token)
                self._places[key] = place
        elif event.event == "released" and key in self._places:
            place = self._places.pop(key)
            del self._held[place][key]
            if not self._held[place]:
                del self._held[place]

    def fault(self, claim: Claim) -> str | None:
        """Who of another workspace holds files that `claim` is granted; None where no other workspace
        does."""
        root = components(claim.root)
        ours = _absolute(claim)
        for (workspace, other_root), held in self._held.items():
            if workspace == claim.workspace or not paths_overlap([root], [other_root]):
                continue
            for other, token in held.values():
                both_read = other.mode == claim.mode == "shared"
                if not both_read and paths_overlap(ours, _absolute(other)):
                    return (
                        f"it is granted below {claim.root} while attempt {other.attempt} of task "
                        f"{other.task_id} holds the same files by workspace {workspace} at {other.root}, "
                        f"since sequence {token}"
                    )
        return None


def _absolute(claim: Claim) -> list[Components]:
    base = components(claim.root)
    return [base + components(path) for path in claim.paths] or [base]
