"""What verifying found: sentences for people, each with the first sequence that it makes doubtful."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["sequence", "form", "chain", "transition", "lock", "checkpoint", "read-model"]
MOST_FINDINGS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `seq` is the first sequence that it puts in doubt.

    `exact` is False where the fault is somewhere at or behind `seq`: then another finding may say better.
    """

    seq: int
    kind: Kind
    sentence: str
    exact: bool = True


class TooMany(Exception):
    """So much is wrong that going on says nothing more."""


@dataclass(slots=True)
class Report:
    """Findings in the order in which they were made, and what was looked at."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    events: int = 0
    checkpoints: int = 0
    covered_upto: int = 0
    tasks_compared: int = 0

    def add(self, seq: int, kind: Kind, sentence: str, *, exact: bool = True) -> None:
        """Note a finding. Raises TooMany with the MOST_FINDINGS-th."""
        self.findings.append(Finding(seq, kind, sentence, exact))
        if len(self.findings) >= MOST_FINDINGS:
            raise TooMany

    @property
    def first(self) -> Finding | None:
        """The finding with the first bad sequence; one that knows it exactly goes before the others."""
        return min(self.findings, key=lambda one: (not one.exact, one.seq), default=None)

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        first = self.first
        return {
            "ok": first is None,
            "first_bad_seq": first.seq if first else None,
            "sentence": first.sentence if first else None,
            "events": self.events,
            "checkpoints": self.checkpoints,
            "covered_upto": self.covered_upto,
            "tasks_compared": self.tasks_compared,
            "findings": [
                {"seq": one.seq, "kind": one.kind, "exact": one.exact, "sentence": one.sentence}
                for one in self.findings
            ],
            "notes": self.notes,
        }
