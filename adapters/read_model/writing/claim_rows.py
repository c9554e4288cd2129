"""Defines how each event changes the row of a claim: an attempt that wants a lock, in table `grants`.

A claim may be of an earlier batch, so a row here may hold changes only; `workspace` is empty where it is
known from before.
"""

from __future__ import annotations

from adapters.read_model.writing.rows import Row
from domain.locks.claims import Key
from domain.log.payloads import BoundPayload, DispatchedPayload, LockPayload, RefusedPayload, ReleasedPayload
from domain.log.record import Recorded
from domain.task.transitions import TERMINAL

BOUND = "bound_seq"
"""The only column whose first value stands."""


class ClaimRows(dict[Key, Row]):
    """Changes of claims in one batch, by task and attempt."""

    def note_task(self, event: Recorded, attempt: int, before: str, now: str) -> None:
        """Apply an event of a task whose lock was in the state `before` and is in the state `now`."""
        changes = task_changes(event, before, now)
        if changes is not None:
            change_claim(self.setdefault((event.subject_id, attempt), {"workspace": ""}), changes)

    def note_lock(self, event: Recorded) -> None:
        """Apply a lock fact."""
        data: LockPayload = event.data
        key = (data["task_id"], data["attempt"])
        change_claim(self.setdefault(key, {"workspace": ""}), lock_changes(event))


def task_changes(event: Recorded, before: str, now: str) -> Row | None:
    """What an event of a task changes in the claim of its attempt, with the lock's states around it."""
    name = event.event
    if name == "dispatched":
        data: DispatchedPayload = event.data
        if data["workspace"] is not None:
            return {"workspace": data["workspace"], "claimed_seq": event.seq, "claimed_at": event.time}
    elif name in ("queued", "running") and now == "held":
        bound: BoundPayload = event.data
        if bound["runner_id"]:
            return {"runner_id": bound["runner_id"], BOUND: event.seq}
    elif name in TERMINAL and before == "waiting":
        return {"left_seq": event.seq, "left_at": event.time, "cause": name}
    return None


def lock_changes(event: Recorded) -> Row:
    """What a lock fact changes in its claim."""
    name = event.event
    changes: Row = {"workspace": event.subject_id, f"{name}_seq": event.seq, f"{name}_at": event.time}
    changes["last_seq"] = event.seq
    if name == "released":
        released: ReleasedPayload = event.data
        changes["cause"] = released["cause"]
    elif name == "refused":
        refused: RefusedPayload = event.data
        changes["cause"] = refused["reason"]
    return changes


def change_claim(row: Row, changes: Row) -> None:
    """Apply changes to a claim's row."""
    first = row.get(BOUND)
    row.update(changes)
    if first is not None:
        row[BOUND] = first
