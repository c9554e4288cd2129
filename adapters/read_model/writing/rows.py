"""Defines how each event changes a task's row.

An event costs a few assignments: no models are built, and times stay the stored text. A row may be whole or
hold only changed columns, so only `lock_state` is ever read from it. A property test compares the rows with
the aggregate on random histories.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from domain.log.payloads import (
    AskedPayload,
    CanceledPayload,
    CreatedPayload,
    DispatchedPayload,
    EndedPayload,
    FailedPayload,
    QueuedPayload,
    RunningPayload,
    SubmitFailedPayload,
    SucceededPayload,
)
from domain.log.record import Recorded
from domain.protocol import rfc3339
from domain.task.requested_end import REFUSED, by_key

Row = dict[str, Any]

HOLD, RELEASED = "hold", "released"
"""Values of `retry_bar`: a lost runner's lock is kept for an operator; the lock was released by hand."""
_STORED_TIME_CHARS = 27
_NEW_ATTEMPT: Row = {
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
    "exit_code": None,
    "message": None,
    "reason": None,
    "runner_id": None,
    "cancel_requested": False,
    "cancel_asked_at": None,
    "asked_at": None,
    "asked_until": None,
    "question": None,
    "output_tail": None,
    "ended_at": None,
    "ended_on_request": False,
    "retry_bar": None,
    "lock_state": "none",
    "lock_token": None,
    "lock_since": None,
}


def created_row(event: Recorded) -> Row:
    """The whole row of a new task, but for `seq` and `version`."""
    data: CreatedPayload = event.data
    return {
        "id": event.subject_id,
        "title": storable(data["title"]),
        "command": _json(data["command"]),
        "execution_mode": data["execution_mode"],
        "workspace": data["workspace"],
        "lock_paths": _json(data["lock_paths"]),
        "lock_mode": data["lock_mode"],
        "on_conflict": data["on_conflict"],
        "lock_wait_seconds": data.get("lock_wait_seconds"),
        "pool": data["pool"],
        "labels": _json(data["labels"]),
        "timeout_seconds": data["timeout_seconds"],
        "timeout_pauses": data.get("timeout_pauses", False),
        "retry": orjson.dumps(data["retry"]).decode() if "retry" in data else None,
        "created_at": _stored_time(event.time),
        "created_seq": event.seq,
        "status": "created",
        "attempt": 0,
        "dispatched_at": None,
        **_NEW_ATTEMPT,
    }


def _dispatched(row: Row, event: Recorded) -> None:
    data: DispatchedPayload = event.data
    row.update(_NEW_ATTEMPT)
    row["status"] = "dispatched"
    row["attempt"] = data["attempt"]
    row["dispatched_at"] = event.time
    if data.get("on_runner_lost") == "hold":
        row["retry_bar"] = HOLD
    if data["workspace"] is not None:
        row["lock_state"] = "waiting"
        row["lock_since"] = event.time


def _queued(row: Row, event: Recorded) -> None:
    data: QueuedPayload = event.data
    row["status"] = "queued"
    row["queued_at"] = event.time
    row["runner_id"] = data["runner_id"]


def _running(row: Row, event: Recorded) -> None:
    data: RunningPayload = event.data
    row["status"] = "running"
    row["started_at"] = data["started_at"]
    if data["runner_id"]:
        row["runner_id"] = data["runner_id"]


def _ended(row: Row, event: Recorded) -> None:
    data: EndedPayload = event.data
    row["status"] = event.event
    row["finished_at"] = data["finished_at"]
    row["message"] = storable(data["message"])
    row["output_tail"] = storable(data["output_tail"])
    if data["runner_id"]:
        row["runner_id"] = data["runner_id"]
    leave_queue(row)
    row["cancel_asked_at"] = None
    _nothing_asked(row)


def _succeeded(row: Row, event: Recorded) -> None:
    data: SucceededPayload = event.data
    _ended(row, event)
    row["exit_code"] = data["exit_code"]


def _failed(row: Row, event: Recorded) -> None:
    data: FailedPayload = event.data
    _ended(row, event)
    row["exit_code"] = data["exit_code"]
    row["reason"] = storable(data["reason"])
    row["ended_at"] = event.time
    if by_key(data["exit_code"], data["runner_id"]):
        row["ended_on_request"] = True


def _canceled(row: Row, event: Recorded) -> None:
    data: CanceledPayload = event.data
    _ended(row, event)
    row["reason"] = storable(data["reason"])


def _submit_failed(row: Row, event: Recorded) -> None:
    data: SubmitFailedPayload = event.data
    row["status"] = "submit-failed"
    row["finished_at"] = row["ended_at"] = event.time
    row["message"] = storable(data["message"])
    row["reason"] = data["reason"]
    if data["reason"] == REFUSED:
        row["ended_on_request"] = True
    row["cancel_asked_at"] = None
    leave_queue(row)


def leave_queue(row: Row) -> None:
    """Clear the waiting state of an attempt that ended while it waited, or whose dispatch is void."""
    if row["lock_state"] == "waiting":
        row["lock_state"] = "none"
        row["lock_since"] = None


def _cancel_requested(row: Row, event: Recorded) -> None:
    row["cancel_requested"] = row["ended_on_request"] = True
    row["cancel_asked_at"] = event.time
    _nothing_asked(row)


def _lock_release_requested(row: Row, event: Recorded) -> None:
    """The `released` that follows changes what is shown of the lock."""
    row["retry_bar"] = RELEASED
    _nothing_asked(row)


def _asked(row: Row, event: Recorded) -> None:
    data: AskedPayload = event.data
    shown = {name: storable(data[name]) for name in ("question_id", "text", "default")}
    choices = [storable(choice) for choice in data["choices"]] if data["choices"] is not None else None
    question = {**shown, "choices": choices, "free_text": data["free_text"], "expires_at": data["expires_at"]}
    row["asked_at"] = event.time
    row["asked_until"] = data["expires_at"] if data["default"] is None else None
    row["question"] = orjson.dumps({**question, "asked_at": event.time}).decode()


def _answered(row: Row, event: Recorded) -> None:
    _nothing_asked(row)


def _nothing_asked(row: Row) -> None:
    """An attempt that has ended, or was asked to stop, waits for no answer."""
    row["asked_at"] = row["asked_until"] = row["question"] = None


def _granted(row: Row, event: Recorded) -> None:
    row["lock_state"] = "held"
    row["lock_token"] = event.seq
    row["lock_since"] = event.time


def _refused(row: Row, event: Recorded) -> None:
    row["lock_state"] = "none"
    row["lock_since"] = None


def _released(row: Row, event: Recorded) -> None:
    row["lock_state"] = "released"
    row["lock_since"] = event.time


TASK_FACTS: dict[str, Callable[[Row, Recorded], None]] = {
    "dispatched": _dispatched,
    "queued": _queued,
    "running": _running,
    "succeeded": _succeeded,
    "failed": _failed,
    "cancel-requested": _cancel_requested,
    "canceled": _canceled,
    "submit-failed": _submit_failed,
    "lock-release-requested": _lock_release_requested,
    "asked": _asked,
    "answered": _answered,
}
LOCK_FACTS: dict[str, Callable[[Row, Recorded], None]] = {
    "granted": _granted,
    "refused": _refused,
    "released": _released,
}


# ---------------------------------------------------------------------- values


def storable(text: Any) -> Any:
    """`text` with NUL replaced, which PostgreSQL cannot store; other values unchanged."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def _json(value: Any) -> str:
    """JSON text; escaped NULs are replaced, too, since parsing would restore them."""
    text = orjson.dumps(value).decode()
    return orjson.dumps(_without_nul(value)).decode() if "\\u0000" in text else text


def _without_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [storable(one) for one in value]
    return {storable(key): storable(one) for key, one in value.items()}


def _stored_time(time: str) -> str:
    """The fixed-width form that sorts as text, in which the log stores times."""
    if len(time) == _STORED_TIME_CHARS and time[-1] == "Z":
        return time
    return rfc3339(datetime.fromisoformat(time))
