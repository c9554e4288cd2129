"""Item 2: each task's events are legal transitions with contiguous versions, in a log without holes.

Reads the contract's table anew: which event may come in which status, whose attempt, from which runner, and
what must stand before it. It also keeps what each task was at each of its events, for the other checks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.chaos.check.questions import question_faults
from tests.chaos.check.retries import followed, retry_faults
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import Json
from tests.chaos.raw_log import Fact, Stored

if TYPE_CHECKING:
    from tests.chaos.check.locks import Locks

ENDS = frozenset({"succeeded", "failed", "canceled", "submit-failed"})
OPEN = frozenset({"dispatched", "queued", "running"})
MAY_FOLLOW = {
    "dispatched": frozenset({"created", "failed", "canceled", "submit-failed"}),
    "queued": frozenset({"dispatched"}),
    "running": frozenset({"dispatched", "queued"}),
    "succeeded": OPEN,
    "failed": OPEN,
    "canceled": OPEN | {"created"},
    "submit-failed": frozenset({"dispatched"}),
    "cancel-requested": frozenset({"queued", "running", "failed", "submit-failed"}),
    "lock-release-requested": frozenset({"queued", "running"}),
    "asked": frozenset({"running"}),
    "answered": frozenset({"running"}),
}
FIRST_CHAIN = "0" * 64


@dataclass(frozen=True, slots=True)
class Life:
    """What a task is after one of its events."""

    task: str
    seq: int
    version: int
    status: str
    spec: Json
    attempt: int = 0
    claim: Json = field(default_factory=dict)
    runner: str | None = None
    cancel_requested: bool = False
    release_requested: bool = False
    question: Fact | None = None
    """The open `asked`."""
    asked: frozenset[str] = frozenset()
    ended_at: float = 0.0
    """`ce-time` of the end."""
    exit_code: int | None = None
    message: str | None = None
    reason: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDS


class Lives:
    """Feed it every event of the log in order."""

    def __init__(self, verdict: Verdict) -> None:
        self.tasks: dict[str, Life] = {}
        self.at: dict[int, Life] = {}
        self.claims: dict[tuple[str, int], Fact] = {}
        self.ends: dict[tuple[str, int], Fact] = {}
        self.ran: dict[tuple[str, int], Fact] = {}
        self.bound: dict[tuple[str, int], str] = {}
        self.last_seq = 0
        self._verdict = verdict
        self._chains: dict[tuple[str, str], tuple[int, str]] = {}
        self._ids: set[str] = set()

    def see(self, fact: Fact, stored: Stored, locks: Locks) -> None:
        """Check one event against all before it."""
        self._order(fact, stored)
        if fact.kind != "task":
            return
        before = self.tasks.get(fact.entity)
        for rule, what in _wrong(before, fact, locks):
            self._verdict.add(2, rule, f"{fact.seq} {fact.name} of {fact.entity}: {what}")
        after = _after(before, fact)
        self.tasks[fact.entity] = self.at[fact.seq] = after
        key = (fact.entity, after.attempt)
        if fact.name == "dispatched":
            self.claims[key] = fact
        elif fact.name == "running":
            self.ran.setdefault(key, fact)
        elif fact.name in ENDS:
            self.ends.setdefault(key, fact)
        if after.runner:
            self.bound[key] = after.runner

    def _order(self, fact: Fact, stored: Stored) -> None:
        def say(rule: str, what: str) -> None:
            self._verdict.add(2, rule, f"{fact.seq}: {what}")

        if fact.seq != self.last_seq + 1:
            say("hole", f"it follows on {self.last_seq}")
        self.last_seq = fact.seq
        if fact.id in self._ids:
            say("id-twice", f"ce-id {fact.id} stands twice")
        self._ids.add(fact.id)
        entity = (fact.kind, fact.entity)
        version, chain = self._chains.get(entity, (0, FIRST_CHAIN))
        if fact.version != version + 1:
            say("version", f"{fact.kind} {fact.entity} has version {fact.version} after {version}")
        if stored.headers.get("ce-chain") != _chain(chain, stored):
            say("chain", f"ce-chain of {fact.kind} {fact.entity} does not follow on its predecessor's")
        self._chains[entity] = fact.version, stored.headers.get("ce-chain", "")


def _wrong(before: Life | None, fact: Fact, locks: Locks) -> list[tuple[str, str]]:
    """What of the contract an event breaks."""
    if before is None:
        return [] if fact.name == "created" else [("transition", "nothing was created")]
    if before.status not in MAY_FOLLOW.get(fact.name, frozenset()):
        return [("transition", f"it came in status {before.status}")]
    data, found = fact.data, []
    expected = before.attempt + 1 if fact.name == "dispatched" else before.attempt or None
    if not data.get("attempt") == fact.attempt == expected:
        found.append(("attempt", f"attempt {data.get('attempt')} where {expected} was current"))
    if fact.name == "dispatched":
        return found + retry_faults(before, fact)
    if fact.name == "cancel-requested" and before.ended and not followed(before):
        found.append(("transition", f"it came in status {before.status}, and no attempt would follow"))
    refused = locks.refused.get((fact.entity, before.attempt))
    if data.get("reason") == "workspace-changed" and (
        refused is None or refused.data["reason"] != "workspace-changed"
    ):
        found.append(("workspace-changed", "no such refusal stands before it"))
    runner = data.get("runner_id")
    if before.runner and runner and runner != before.runner:
        found.append(("runner", f"from {runner}, while the attempt is bound to {before.runner}"))
    by_runner = fact.name in ("queued", "running", "succeeded", "failed")
    token = locks.tokens.get((fact.entity, before.attempt))
    if by_runner and before.spec["workspace"] is not None and token is None:
        found.append(("granted", "reported before its lock was granted"))
    if fact.name == "running" and (before.cancel_requested or before.release_requested):
        found.append(("start-gate", "started after it was asked to stop"))
    confirmed = str(data.get("by")).startswith("runner") or data.get("reason") == "runner-lost"
    if fact.name == "canceled" and before.status in ("queued", "running") and not confirmed:
        found.append(("canceled", f"by {data.get('by')}, while its runner may still run it"))
    if fact.name in ("asked", "answered"):
        if before.cancel_requested or before.release_requested:
            found.append(("question", f"{fact.name} after it was asked to stop"))
        found += [("question", what) for what in question_faults(before, fact)]
    if fact.name == "cancel-requested" and before.cancel_requested:
        found.append(("twice", "it was requested already"))
    if fact.name == "lock-release-requested":
        if before.release_requested:
            found.append(("twice", "it was requested already"))
        if data["token"] != token:
            found.append(("token", f"for token {data['token']}, while {token} was granted"))
    return found


def _after(before: Life | None, fact: Fact) -> Life:
    data, here = fact.data, {"seq": fact.seq, "version": fact.version}
    if before is None or fact.name == "created":
        return Life(fact.entity, status="created", spec=data, **here)
    if fact.name == "dispatched":
        begun = {"spec": before.spec, "asked": before.asked, "attempt": data["attempt"], "claim": data}
        return Life(fact.entity, status="dispatched", **begun, **here)
    if fact.name in ("asked", "answered"):
        known = before.asked | {data["question_id"]}
        return replace(before, question=fact if fact.name == "asked" else None, asked=known, **here)
    if fact.name == "cancel-requested":
        return replace(before, cancel_requested=True, **here)
    if fact.name == "lock-release-requested":
        return replace(before, release_requested=True, **here)
    runner = data.get("runner_id") or before.runner
    if fact.name == "queued":
        runner = data.get("runner_id")
    after = replace(before, status=fact.name, runner=runner, **here)
    if fact.name not in ENDS:
        return after
    said = {name: data.get(name) for name in ("exit_code", "message", "reason")}
    return replace(after, question=None, ended_at=fact.time, **said)


def _chain(previous: str, stored: Stored) -> str:
    names = sorted(name for name in stored.headers if name.startswith("ce-") and name != "ce-chain")
    lines = [previous, stored.subject, *(f"{name}:{stored.headers[name]}" for name in names)]
    return hashlib.sha256(("".join(f"{line}\n" for line in lines) + stored.data).encode()).hexdigest()
