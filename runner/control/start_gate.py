"""The start gate: no process starts before the log has `running` of this attempt by this runner.

The proof is either an HTTP response whose TaskRead shows it, or the task's last event read from the log's
leader. Both are judged by pure functions here. A refusal that is neither a cancel nor the end of the attempt
is reported as `failed`: a visible end is better than an attempt that never moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import orjson

from domain.identifiers import RunnerId
from runner.outbox.transports import ReportAnswer, problem_kind
from runner.store.state import Attempt, Key

FINAL_EVENTS = {"succeeded", "failed", "canceled", "submit-failed"}
STOP_EVENTS = {"cancel-requested", "lock-release-requested"}
OVER_KINDS = {"ended", "stale-attempt", "not-your-attempt"}


class Standing(Enum):
    """What the log says about an attempt of this runner."""

    WAIT = "wait"
    """Nothing decisive yet."""
    RUNNING = "running"
    """`running` by this runner is recorded as the last event."""
    CANCEL = "cancel"
    """Stop the attempt and report `canceled`."""
    OVER = "over"
    """Ended, superseded, or another runner's: stop it without a report."""
    REFUSED = "refused"
    """Must not start for another reason."""


@dataclass(frozen=True)
class Permission:
    """The gate's answer; `message` explains a refusal."""

    standing: Standing
    message: str = ""
    sequence: int | None = None
    """Sequence of `running` in the log, if the answer contains it."""


class StartGate(Protocol):
    """Reports `running` and waits until the process may start or must not."""

    async def permission(self, attempt: Attempt) -> Permission: ...


@dataclass(frozen=True)
class LoggedEvent:
    """The fields of a task's event that the gate needs."""

    name: str
    attempt: int | None
    runner_id: RunnerId | None
    seq: int | None = None
    instance: str | None = None


def judge_event(
    last: LoggedEvent | None, key: Key, runner_id: RunnerId, instance: str | None = None
) -> Standing:
    """Judge the task's last event. Only a last `running` permits: any event after it ends the permission."""
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


def judge_answer(answer: ReportAnswer, key: Key, runner_id: RunnerId) -> Permission:
    """Judge the control plane's answer to the `running` report."""
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
