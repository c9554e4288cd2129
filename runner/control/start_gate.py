"""The start gate: no process starts before the log has `running` of this attempt by this runner.

Two ways to see that, and one meaning: an HTTP answer whose TaskRead says so, or the task's last event
read from the log's leader. Both judgements are pure functions here. Where a refusal is neither a
cancel nor the news that the attempt is over, it is reported as `failed`: better a visible end than an
attempt that never moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import orjson

from runner.outbox.transports import ReportAnswer, problem_kind
from runner.store.state import Attempt, Key

FINAL_EVENTS = {"succeeded", "failed", "canceled", "submit-failed"}
STOP_EVENTS = {"cancel-requested", "lock-release-requested"}
OVER_KINDS = {"ended", "stale-attempt", "not-your-attempt"}


class Standing(Enum):
    """What the log says about an attempt of ours."""

    WAIT = "wait"
    """Nothing that decides."""
    RUNNING = "running"
    """`running` by this runner is recorded and nothing came after it."""
    CANCEL = "cancel"
    """To be stopped, and `canceled` to be reported."""
    OVER = "over"
    """Ended, superseded, or another runner's: stop it and say nothing."""
    REFUSED = "refused"
    """Not to be started for another reason."""


@dataclass(frozen=True)
class Permission:
    """The gate's answer; `message` says why not."""

    standing: Standing
    message: str = ""
    sequence: int | None = None
    """Where `running` stands in the log, as far as the answer says."""


class Gate(Protocol):
    """Reports `running` and waits until it is known whether the process may start."""

    async def permission(self, attempt: Attempt) -> Permission: ...


@dataclass(frozen=True)
class LoggedEvent:
    """The part of a task's event that the gate looks at."""

    name: str
    attempt: int | None
    runner_id: str | None
    seq: int | None = None
    instance: str | None = None


def judge_event(last: LoggedEvent | None, key: Key, runner_id: str, instance: str | None = None) -> Standing:
    """What the task's last event says. Only a last `running` permits: what may follow it ends it."""
    if last is None or last.attempt is None or last.attempt < key.attempt:
        return Standing.WAIT
    if last.attempt > key.attempt or last.name in FINAL_EVENTS:
        return Standing.OVER
    if last.name in STOP_EVENTS:
        return Standing.CANCEL
    if last.name in {"queued", "running"} and last.runner_id not in {None, runner_id}:
        return Standing.OVER
    if last.instance is not None and instance is not None and last.instance != instance:
        return Standing.OVER  # the other runner with this id has it
    if last.name == "running" and last.runner_id == runner_id:
        return Standing.RUNNING
    return Standing.WAIT


def judge_answer(answer: ReportAnswer, key: Key, runner_id: str) -> Permission:
    """What the control plane's answer to the `running` report says."""
    body = _object(answer.body)
    if answer.outcome != "accepted":
        return _judge_problem(answer, body)
    if body.get("attempt") != key.attempt:
        return _other_attempt(body, key)
    if body.get("status") in FINAL_EVENTS:
        return Permission(Standing.OVER, f"the attempt is {body['status']} already")
    if body.get("runner_id") not in {None, runner_id}:
        return Permission(Standing.OVER, "the attempt belongs to another runner")
    if body.get("cancel_requested"):
        return Permission(Standing.CANCEL, "canceled before it started")
    if body.get("status") == "running" and body.get("runner_id") == runner_id and answer.status == 200:
        return Permission(Standing.RUNNING, sequence=sequence_in(body))
    return Permission(Standing.REFUSED, f"start refused: the task is {body.get('status')}, not running")


def _judge_problem(answer: ReportAnswer, body: dict[str, Any]) -> Permission:
    kind = problem_kind(answer.body)
    words = " ".join(str(body.get(name, "")) for name in ("type", "title", "detail")).lower()
    if kind in OVER_KINDS:
        return Permission(Standing.OVER, kind)
    if "cancel" in words or body.get("cancel_requested"):
        return Permission(Standing.CANCEL, "canceled before it started")
    return Permission(Standing.REFUSED, f"start refused: {answer.detail}")


def _other_attempt(body: dict[str, Any], key: Key) -> Permission:
    current = body.get("attempt")
    if isinstance(current, int) and current > key.attempt:
        return Permission(Standing.OVER, f"attempt {current} has taken its place")
    return Permission(Standing.REFUSED, "start refused: the answer is not about this attempt")


def sequence_in(task: dict[str, Any]) -> int | None:
    """The `seq` of a TaskRead."""
    seq = task.get("seq")
    return seq if isinstance(seq, int) else None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
