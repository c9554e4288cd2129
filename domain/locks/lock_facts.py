"""Lock facts: the event that each decision of the lock table appends, with the state it was decided on.

`seen_seq` is the sequence up to which the decider had folded the log.
"""

from __future__ import annotations

from typing import Any

from domain.identifiers import LogSeq
from domain.locks.claims import Claim, LockFact, Owed, VoidClaim
from domain.locks.workspace_locks import MOST_NAMED, WorkspaceLocks
from domain.log import events as data


def release_fact(locks: WorkspaceLocks, claim: Claim, owed: Owed, seen_seq: LogSeq) -> LockFact:
    released = data.ReleasedData(
        task_id=claim.task_id,
        attempt=claim.attempt,
        paths=list(claim.paths),
        cause=owed.cause,
        cause_seq=owed.seq,
        by=owed.by,
        seen_seq=seen_seq,
    )
    return _fact(locks, claim, "released", released)


def grant_fact(locks: WorkspaceLocks, claim: Claim, seen_seq: LogSeq) -> LockFact:
    return _fact(locks, claim, "granted", data.GrantedData(**_claim_data(claim, seen_seq)))


def refusal_fact(locks: WorkspaceLocks, claim: Claim, seen_seq: LogSeq) -> LockFact:
    """The refusal of a claim that does not wait; it names the first claims that block it."""
    holders = [
        data.Holder(
            task_id=other.task_id,
            attempt=other.attempt,
            token=locks.holders[other.key].token if other.key in locks.holders else None,
        )
        for other in locks.index.blockers(claim.key, MOST_NAMED)[0]
    ]
    refused = data.RefusedData(
        **_claim_data(claim, seen_seq), holders=holders, reason="workspace-locked", valid_root=claim.root
    )
    return _fact(locks, claim, "refused", refused)


def void_refusal_fact(locks: WorkspaceLocks, void: VoidClaim, seen_seq: LogSeq) -> LockFact:
    refused = data.RefusedData(
        **_claim_data(void.claim, seen_seq),
        holders=[],
        reason="workspace-changed",
        valid_root=void.valid_root,
    )
    return _fact(locks, void.claim, "refused", refused)


def _fact(locks: WorkspaceLocks, claim: Claim, event: str, fact: data.EventData) -> LockFact:
    version = locks.last_version + 1
    return LockFact(
        claim.workspace, event, fact, locks.last_seq, version, locks.last_chain, claim.traceparent
    )


def _claim_data(claim: Claim, seen_seq: LogSeq) -> dict[str, Any]:
    return {
        "task_id": claim.task_id,
        "attempt": claim.attempt,
        "root": claim.root,
        "paths": list(claim.paths),
        "mode": claim.mode,
        "seen_seq": seen_seq,
    }
