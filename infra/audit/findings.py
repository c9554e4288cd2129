"""Findings of a verification: messages, each with the first sequence that it makes doubtful."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["sequence", "form", "chain", "transition", "lock", "checkpoint", "read-model"]
MOST_FINDINGS = 10


@dataclass(frozen=True, slots=True)
class Doubt:
    """One fault. `seq` is the first sequence that it makes doubtful.

    `exact` is False if the fault is at or after `seq`: another finding may be more precise.
    """

    seq: int
    kind: Kind
    sentence: str
    exact: bool = True


class TooMany(Exception):
    """The report is full: further findings would add nothing."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Coverage by an exported file's checkpoints: how many they are, and the events that none covers.

    The log matches them from its first event up to `covered_upto`; it ends at `events`. Checkpoints of the
    log's own stream do not count here.
    """

    file: str
    count: int
    first_number: int | None
    last_number: int | None
    covered_upto: int
    events: int

    @property
    def uncovered(self) -> tuple[int, int] | None:
        """The first and last sequence that no checkpoint covers; None if all are covered."""
        return (self.covered_upto + 1, self.events) if self.covered_upto < self.events else None

    @property
    def sentence(self) -> str:
        """What was compared, as text for people."""
        if not self.count:
            return (
                f"{self.file} holds no checkpoint, so the log was compared with nothing of it; "
                "`towpath checkpoint export FILE` writes those that there are"
            )
        which = f"checkpoint {self.first_number} vouches"
        if self.count > 1:
            which = f"{self.count} checkpoints ({self.first_number} to {self.last_number}) vouch"
        left = f"not for {_events(*self.uncovered)}" if self.uncovered else "the whole log"
        return f"{self.file}: {which} for {_events(1, self.covered_upto)}, {left}"

    def as_json(self) -> dict[str, Any]:
        """What was compared, as JSON for programs."""
        return {
            "file": self.file,
            "checkpoints": self.count,
            "first_number": self.first_number,
            "last_number": self.last_number,
            "covered_upto": self.covered_upto,
            "uncovered": list(self.uncovered) if self.uncovered else None,
        }


@dataclass(slots=True)
class VerifyReport:
    """Findings in the order in which they were made, and what was checked."""

    findings: list[Doubt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    events: int = 0
    last_event_id: str | None = None
    """The id of the last event that was checked; with it a result cannot be taken for another log's."""
    checkpoints: int = 0
    covered_upto: int = 0
    tasks_compared: int = 0
    exported: Compared | None = None
    """What was compared with an exported file, if one was given."""

    @property
    def ok(self) -> bool:
        """True if there are no findings and everything requested was compared."""
        return not self.findings and (self.exported is None or self.exported.covered_upto > 0)

    def add(self, seq: int, kind: Kind, sentence: str, *, exact: bool = True) -> None:
        """Add a finding. Raises TooMany at the MOST_FINDINGS-th."""
        self.findings.append(Doubt(seq, kind, sentence, exact))
        if len(self.findings) >= MOST_FINDINGS:
            raise TooMany

    @property
    def first(self) -> Doubt | None:
        """The finding with the lowest doubtful sequence; exact ones come before the others."""
        return min(self.findings, key=lambda one: (not one.exact, one.seq), default=None)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON for programs."""
        first = self.first
        return {
            "ok": self.ok,
            "first_bad_seq": first.seq if first else None,
            "sentence": first.sentence if first else self._doubt(),
            "events": self.events,
            "checkpoints": self.checkpoints,
            "covered_upto": self.covered_upto,
            "tasks_compared": self.tasks_compared,
            "exported": self.exported.as_json() if self.exported else None,
            "findings": [
                {"seq": one.seq, "kind": one.kind, "exact": one.exact, "sentence": one.sentence}
                for one in self.findings
            ],
            "notes": self.notes,
        }

    def _doubt(self) -> str | None:
        return None if self.ok or self.exported is None else self.exported.sentence


def _events(first: int, last: int) -> str:
    if first > last:
        return "no event"
    return f"event {first}" if first == last else f"events {first} to {last}"
