"""What the lock table must answer, by the definition: every claim is compared with every other one."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.locks.claims import Claim, Key
from domain.workspaces.paths import components


def conflict(one: Claim, other: Claim) -> bool:
    """Whether the two may not hold at once."""
    if one.mode == other.mode == "shared":
        return False
    if one.root != other.root or not one.paths or not other.paths:
        return True
    return any(_overlap(components(left), components(right)) for left in one.paths for right in other.paths)


def _overlap(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    shorter = min(len(left), len(right))
    return left[:shorter] == right[:shorter]


@dataclass
class NaiveLocks:
    """Claims of one workspace in the order in which they came; holders in the order of their grants."""

    waiting: dict[Key, Claim] = field(default_factory=dict)
    holders: dict[Key, Claim] = field(default_factory=dict)

    def in_the_way(self, key: Key) -> list[Claim]:
        """Holders and earlier waiters that the waiter conflicts with, holders first."""
        claim, found = self.waiting[key], list(self.holders.values())
        for other in self.waiting.values():
            if other is claim:
                break
            found.append(other)
        return [other for other in found if conflict(claim, other)]

    def candidate(self) -> tuple[Claim, bool] | None:
        """The first waiter that can be decided, and whether something is in its way."""
        for key, claim in self.waiting.items():
            blocked = bool(self.in_the_way(key))
            if not blocked or claim.on_conflict == "reject":
                return claim, blocked
        return None
