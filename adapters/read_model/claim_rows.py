"""Defines how each event changes the row of a claim: an attempt that wants a lock, in table `grants`.

A claim may be of an earlier batch, so a row here holds changes only; `workspace` is empty where it is known
from before.
"""

from __future__ import annotations

from adapters.read_model.rows import Row
from domain.locks.claims import Key
from domain.log.payloads import BoundPayload, DispatchedPayload, LockPayload, RefusedPayload, ReleasedPayload
from domain.log.record import Recorded
from domain.task.transitions import TERMINAL

_ENDS = {status.value for status in TERMINAL}


class ClaimRows(dict[Key, Row]):
    """Changes of claims in one batch, by task and attempt."""

    def _of(self, key: Key) -> Row:
        return self.setdefault(key, {"workspace": ""})

    def note_task(self, event: Recorded, attempt: int, before: str, now: str) -> None:
        """Apply an event of a task whose lock was in the state `before` and is in the state `now`."""
        key, name = (event.subject_id, attempt), event.event
        if name == "dispatched":
            data: DispatchedPayload = event.data
            if data["workspace"] is not None:
                claimed = {"claimed_seq": event.seq, "claimed_at": event.time}
                self._of(key).update(workspace=data["workspace"], **claimed)
        elif name in ("queued", "running") and now == "held":
            bound: BoundPayload = event.data
            if bound["runner_id"]:
                row = self._of(key)
                row["runner_id"] = bound["runner_id"]
                row.setdefault("bound_seq", event.seq)
        elif name in _ENDS and before == "waiting":
            self._of(key).update(left_seq=event.seq, left_at=event.time, cause=name)

    def note_lock(self, event: Recorded) -> None:
        """Apply a lock fact."""
        name = event.event
        data: LockPayload = event.data
        row = self._of((data["task_id"], data["attempt"]))
        row["workspace"] = event.subject_id
        row[f"{name}_seq"] = row["last_seq"] = event.seq
        row[f"{name}_at"] = event.time
        if name == "released":
            released: ReleasedPayload = event.data
            row["cause"] = released["cause"]
        elif name == "refused":
            refused: RefusedPayload = event.data
            row["cause"] = refused["reason"]
