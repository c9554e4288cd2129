"""Checks for dead letters that wait for an operator's decision."""

from __future__ import annotations

from collections import Counter

from adapters.queues.dead_letter_budget import MOST_ALIKE, NEARLY_FULL_BYTES
from adapters.queues.dead_letters import JetStreamDeadLetters
from api.reports.gateway import CONFLICTING_END
from domain.subjects import Stream, under
from infra.doctor.examination import Examination
from infra.doctor.finding import Finding, ok, problem, warning

MANY = 100
CONTRADICTED = (CONFLICTING_END, "ended", "stale-attempt", "unknown-attempt", "not-your-attempt")


async def dead_letters(about: Examination) -> list[Finding]:
    """The number of dead letters, by kind."""
    answer = await about.ask(f"STREAM.INFO.{Stream.DEAD}", {"subjects_filter": under("dead")})
    subjects: dict[str, int] = answer.get("state", {}).get("subjects") or {}
    kinds: Counter[str] = Counter()
    for subject, count in subjects.items():
        kinds[subject.split(".")[2]] += count
    if not kinds:
        return [ok("dead letters", "none")]
    found = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(kinds.items()))
    if max(kinds.values()) >= MOST_ALIKE or answer["state"]["bytes"] >= NEARLY_FULL_BYTES:
        for kind, reason in await JetStreamDeadLetters(about.connection).full():
            found += f"; of kind {kind}, reason {reason}, there are too many: older ones are dropped"
    advice = (
        "see `towpath dead` for the reasons; then `towpath dead replay SEQ` or "
        "`towpath dead drop SEQ --reason WHY` each"
    )
    if set(kinds) == {"report"} and kinds["report"] <= MANY and await _only_contradicted(about):
        return [
            warning("dead letters", f"{found}, which the log contradicts and which changed nothing", advice)
        ]
    return [problem("dead letters", found, advice)]


async def _only_contradicted(about: Examination) -> bool:
    """Whether all are reports that the transition rules refused: the log is valid and complete."""
    letters = await JetStreamDeadLetters(about.connection).page(0, MANY, "report")
    return all(letter.reason in CONTRADICTED for letter in letters)
