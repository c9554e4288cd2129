"""What a check found: broken promises, and what could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

ITEMS = {
    1: "acknowledged appends stand once, refused ones do not",
    2: "legal transitions, contiguous versions",
    3: "conflicting holders are disjoint, releases have their cause",
    4: "no processes of conflicting claims overlap in time",
    5: "every task ends, nothing stays behind, outboxes are empty, read models equal the replay",
    6: "what a rule names is told, and told twice only where that says so",
}


@dataclass(frozen=True)
class Violation:
    """One broken promise: which of ITEMS, by what rule, and what shows it."""

    item: int
    rule: str
    what: str


@dataclass
class Verdict:
    """`unchecked` says why something could not be judged: it is neither broken nor kept.

    `void`: how many registrations, removals and claims did not count at their position.
    """

    violations: list[Violation] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    events: int = 0
    void: int = 0

    def add(self, item: int, rule: str, what: str) -> None:
        self.violations.append(Violation(item, rule, what))

    def rules(self) -> set[tuple[int, str]]:
        """Which rules were broken."""
        return {(one.item, one.rule) for one in self.violations}
