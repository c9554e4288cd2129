"""Item 4: no two processes of conflicting claims overlapped in time on the same workspace.

Jobs write marks with their token into the workspace: one at the start, one at the end, and ticks in between,
by every process of theirs. A job that was killed leaves no end: what counts is its last sign of life, so one
that goes on writing after the next one began is seen. The one exception is the contract's own: an operator
who frees a lock by hand under a running process. And nothing of an attempt is alive once its end stands in
the log, whoever has recorded it: all processes of a run have one clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.lives import Lives
from tests.chaos.check.locks import Key, Locks
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import Json

CLOCK_SECONDS = 0.02
"""How much the wall clock may be set during a run, and what is no life after the end."""


@dataclass(slots=True)
class Span:
    """When processes of one attempt were alive: CLOCK_BOOTTIME seconds of the first and last mark."""

    key: Key
    begin: float
    end: float


def check_overlaps(evidence: Evidence, lives: Lives, locks: Locks, verdict: Verdict) -> None:
    """Sweep over all spans in the order of their begin: a directory may change its workspace."""
    if not evidence.marks:
        verdict.unchecked.append("item 4: the history has no marks of jobs")
    spans = _spans(evidence.marks, lives, locks, verdict)
    _ends(spans, evidence, lives, verdict)
    alive: list[Span] = []
    for span in sorted(spans, key=lambda one: one.begin):
        alive = [other for other in alive if other.end >= span.begin]
        for other in alive:
            wanted = locks.wanted[span.key]
            if wanted.conflicts(locks.wanted[other.key]) and not _freed_by_hand(other, span, locks):
                verdict.add(
                    4,
                    "overlap",
                    f"in {wanted.workspace}, {span.key} began at {span.begin:.3f} while {other.key} was alive"
                    f" until {other.end:.3f} (tokens {locks.tokens[span.key]}, {locks.tokens[other.key]})",
                )
        alive.append(span)


def _spans(marks: list[Json], lives: Lives, locks: Locks, verdict: Verdict) -> list[Span]:
    spans: dict[Key, Span] = {}
    for mark in marks:
        key = (mark["task"], mark["attempt"])
        at = mark["alive"]
        span = spans.setdefault(key, Span(key, at, at))
        span.begin, span.end = min(span.begin, at), max(span.end, at)
        if mark["mark"] == "begin" and mark["token"] != locks.tokens.get(key):
            verdict.add(4, "token", f"{key} ran with token {mark['token']}, granted: {locks.tokens.get(key)}")
    found: list[Span] = []
    for key, span in spans.items():
        if key not in lives.ran:
            verdict.add(4, "start-gate", f"{key} ran, but its start stands nowhere")
        if key in locks.wanted:
            found.append(span)
    return found


def _ends(spans: list[Span], evidence: Evidence, lives: Lives, verdict: Verdict) -> None:
    wall = evidence.wall
    if not wall or max(wall) - min(wall) > CLOCK_SECONDS:
        if spans:
            verdict.unchecked.append("item 4: no wall clock to compare ends with, or it was set meanwhile")
        return
    for span in spans:
        end = lives.ends.get(span.key)
        if end is not None and span.end + wall[0] > end.time + CLOCK_SECONDS:
            late = span.end + wall[0] - end.time
            verdict.add(
                4, "alive-after-end", f"{span.key} was alive {late:.3f} s after {end.name} at {end.seq}"
            )


def _freed_by_hand(one: Span, other: Span, locks: Locks) -> bool:
    first, second = sorted((one, other), key=lambda span: locks.tokens[span.key])
    released = locks.released.get(first.key)
    return (
        released is not None
        and released.data["cause"] == "operator"
        and released.seq < locks.tokens[second.key]
    )
