"""Snapshot of one workspace's open claims as plain data."""

from __future__ import annotations

from typing import Any

from domain.locks.claims import EndedClaim, Grant, Owed, VoidClaim, claim_from_json, claim_to_json
from domain.locks.workspace_locks import WorkspaceLocks


def locks_to_json(locks: WorkspaceLocks) -> dict[str, Any]:
    """The claims as plain data, for `locks_from_json`."""
    return {
        "waiting": [claim_to_json(claim) for claim in locks.waiting.values()],
        "holders": [
            {
                "claim": claim_to_json(grant.claim),
                "token": grant.token,
                "since": grant.since,
                "owed": list(grant.owed) if grant.owed else None,
                "bound": [grant.runner_id, grant.instance, grant.bound_at],
            }
            for grant in locks.holders.values()
        ],
        "void": [_void_to_json(void) for void in locks.void.values()],
        "ended": [
            {
                "claim": claim_to_json(ended.claim),
                "owed": list(ended.owed),
                "void": _void_to_json(ended.void) if ended.void else None,
            }
            for ended in locks.ended.values()
        ],
        "last": [locks.last_seq, locks.last_version, locks.last_chain],
    }


def locks_from_json(state: dict[str, Any]) -> WorkspaceLocks:
    """The claims that `locks_to_json` wrote; their index is built on first use."""
    locks = WorkspaceLocks(indexed=False)
    for stored in state["waiting"]:
        claim = claim_from_json(stored)
        locks.wait(claim)
    for stored in state["holders"]:
        claim = claim_from_json(stored["claim"])
        owed = Owed(*stored["owed"]) if stored["owed"] else None
        locks.hold(Grant(claim, stored["token"], stored["since"], owed, *stored["bound"]))
    for stored in state["void"]:
        void = _void_from_json(stored)
        locks.void[void.claim.key] = void
    for stored in state["ended"]:
        claim = claim_from_json(stored["claim"])
        ended_void = _void_from_json(stored["void"]) if stored["void"] else None
        locks.ended[claim.key] = EndedClaim(claim, Owed(*stored["owed"]), ended_void)
    locks.last_seq, locks.last_version, locks.last_chain = state["last"]
    return locks


def _void_to_json(void: VoidClaim) -> dict[str, Any]:
    return {"claim": claim_to_json(void.claim), "valid_root": void.valid_root}


def _void_from_json(state: dict[str, Any]) -> VoidClaim:
    return VoidClaim(claim_from_json(state["claim"]), state["valid_root"])
