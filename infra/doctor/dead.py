"""Check of the dead letters: what could not be applied waits for somebody to decide."""

from __future__ import annotations

from collections import Counter

from infra.doctor.examination import Examination
from infra.doctor.finding import Finding, ok, problem, warning


async def dead_letters(about: Examination) -> list[Finding]:
    """How many there are, by kind."""
    answer = await about.ask("STREAM.INFO.TOWPATH_DEAD", {"subjects_filter": "towpath.dead.>"})
    subjects: dict[str, int] = answer.get("state", {}).get("subjects") or {}
    kinds: Counter[str] = Counter()
    for subject, count in subjects.items():
        kinds[subject.split(".")[2]] += count
    if not kinds:
        return [ok("dead letters", "none")]
    found = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(kinds.items()))
    advice = "see `towpath dead` for the reasons; then `towpath dead replay` or `towpath dead drop` each"
    if set(kinds) == {"report"}:  # a runner said something that the log contradicts; the log stands
        return [warning("dead letters", found, advice)]
    return [problem("dead letters", found, advice)]
