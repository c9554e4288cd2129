"""Finding of one check: a state, what was seen, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's output. `advice` says what to do next; it is empty for `ok`."""

    check: str
    state: State
    found: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as JSON for programs."""
        return asdict(self)


def ok(check: str, found: str) -> Finding:
    """The check found no fault."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Worth knowing; nothing is broken."""
    return Finding(check, "warning", found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """A guarantee is broken, or work stands still."""
    return Finding(check, "problem", found, advice)
