"""Rules that any recorded history must keep: allowed transitions and disjoint lock intervals.

The aggregate and the lock table decide which events are appended; this module checks events that a log
already holds against the same rules. Each function returns None, or a sentence that describes the fault.
"""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from domain.actors import JOB_ACTOR
from domain.evidence.task_trace import STARTS, TaskTrace
from domain.locks.claims import Claim, VoidClaim
from domain.locks.judging import changed
from domain.locks.table import LockTable
from domain.log.events import RefusedReason, RetryPolicy
from domain.log.payloads import (
    AskedPayload,
    BoundPayload,
    DispatchedPayload,
    GrantedPayload,
    LockPayload,
    RefusedPayload,
    ReleasedPayload,
    SubmitFailedPayload,
)
from domain.log.record import Recorded
from domain.task import retries
from domain.task.question import EXPIRY_ACTOR, MOST_QUESTIONS
from domain.task.transitions import TABLE, Record

RECORDABLE = {
    status: frozenset(cell.event for cell in row.values() if isinstance(cell, Record))
    for status, row in TABLE.items()
}
"""The events that the transition table allows in each status."""

MAX_CLOCK_SECONDS = 2.0
"""How far clocks may be apart before it is worth a remark."""
_OF_A_QUESTION = frozenset({"asked", "answered"})
_NO_PERSONS = frozenset({JOB_ACTOR, "runner", EXPIRY_ACTOR})
_REFUSALS = get_args(RefusedReason)


def task_fault(trace: TaskTrace, event: Recorded, table: LockTable) -> str | None:
    """The fault of `event` as the next event of a created task; `table` is folded up to just before it."""
    name, status, attempt = event.event, trace.status, event.attempt
    if name not in RECORDABLE[status]:
        return f"{name} cannot follow in status {status.value}"
    if attempt != (trace.attempt + 1 if name == "dispatched" else trace.attempt or None):
        return f"{name} is about attempt {attempt}, but the task is at attempt {trace.attempt}"
    if name in STARTS:
        return _start_fault(trace, event, table)
    if name == "submit-failed":
        failed: SubmitFailedPayload = event.data
        if failed["reason"] in _REFUSALS:
            return _refusal_fault(trace, failed["reason"])
    if name in _OF_A_QUESTION:
        return _question_fault(trace, event)
    if (
        name == "dispatched"
        and event.actor != event.data["by"]
        and retries.ACTOR in (event.actor, event.data["by"])
    ):
        return f"it was begun by {event.data['by']}, but its actor is {event.actor}"
    if name == "dispatched" and event.actor == retries.ACTOR and not trace.retried:
        return "it was begun by a retry, but the task's retry policy begins no attempt here"
    if name == "cancel-requested" and trace.cancel_requested:
        return "a cancel was requested before"
    if name == "cancel-requested" and trace.ended and not trace.retried:
        return "a cancel was requested, but the attempt had ended and no retry was to follow"
    if name == "lock-release-requested" and trace.release_requested:
        return "the release was requested before"
    return None


def hold_fault(trace: TaskTrace, dispatched: DispatchedPayload, on_runner_lost: str) -> str | None:
    """The fault of a `dispatched` that does not keep what its workspace's registration states."""
    wanted = "hold" if trace.retry is not None and on_runner_lost == "hold" else None
    stated = dispatched.get("on_runner_lost")
    if stated == wanted:
        return None
    return (
        f"its on_runner_lost is {stated or 'absent'}, but {wanted or 'absent'} by the registration at "
        f"sequence {dispatched['registration_seq']} and the task's retry policy"
    )


def seconds_early(trace: TaskTrace, event: Recorded) -> float:
    """By how much a retry was begun before its pause was over; both times are those of recording processes.

    It is no fault: the pause ends by the broker's clock, from which these processes' clocks may differ.
    """
    if event.event != "dispatched" or event.actor != retries.ACTOR or not trace.retried:
        return 0.0
    policy = RetryPolicy.model_validate(trace.retry)
    due_at = retries.next_at(policy, event.subject_id, trace.attempt, datetime.fromisoformat(trace.ended_at))
    return (due_at - event.at).total_seconds()


def _question_fault(trace: TaskTrace, event: Recorded) -> str | None:
    """At most one question is open, each is asked and answered once, by what it offers."""
    name, data, question = event.event, event.data, trace.question
    if trace.cancel_requested or trace.release_requested:
        return f"{name} was recorded after a cancel or a release was requested"
    if name == "asked":
        if question is not None:
            return f"it was asked while question {question['question_id']} was open"
        if data["question_id"] in trace.asked:
            return f"question {data['question_id']} was asked before"
        return _asking_fault(trace, event.data)
    if question is None or question["question_id"] != data["question_id"]:
        return f"it answers question {data['question_id']}, which is not open"
    choice, text, offered = data["choice"], data["text"], question["choices"] or ()
    if (choice is None) == (text is None) or (choice is not None and choice not in offered):
        return "its answer is none of the question's choices"
    if text is not None and not question["free_text"]:
        return "its answer is a text, which the question does not take"
    if data["by"] != event.actor:
        return f"it was answered by {data['by']}, but its actor is {event.actor}"
    if data["cause"] == "expired":
        return _expiry_fault(question, choice or text, event)
    if event.actor.partition(":")[0] in _NO_PERSONS:
        return f"its cause is person, but its actor is {event.actor}"
    return None


def _asking_fault(trace: TaskTrace, asked: AskedPayload) -> str | None:
    choices, default, runner_id = asked["choices"] or (), asked["default"], asked["runner_id"]
    if len(trace.asked) >= MOST_QUESTIONS:
        return f"the task had asked {MOST_QUESTIONS} questions before"
    if trace.runner_id and runner_id and runner_id != trace.runner_id:
        return f"it is of runner {runner_id}, but the attempt is bound to {trace.runner_id}"
    if not choices and not asked["free_text"]:
        return "it offers no choices and takes no text, so it cannot be answered"
    if default is not None and not asked["free_text"] and default not in choices:
        return "its default is none of its choices"
    return None


def _expiry_fault(question: AskedPayload, answer: str, event: Recorded) -> str | None:
    expires_at = question["expires_at"]
    if event.actor != EXPIRY_ACTOR:
        return f"its cause is expired, but its actor is {event.actor}"
    if question["default"] != answer:
        return "its cause is expired, but the answer is not the question's default"
    if expires_at is None or event.at < datetime.fromisoformat(expires_at):
        return "its cause is expired, but the question's time was not over"
    return None


def _start_fault(trace: TaskTrace, event: Recorded, table: LockTable) -> str | None:
    bound: BoundPayload = event.data
    name, runner_id = event.event, bound["runner_id"]
    if trace.runner_id and runner_id and runner_id != trace.runner_id:
        return f"{name} is of runner {runner_id}, but the attempt is bound to {trace.runner_id}"
    if trace.locked and table.valid_grant(event.subject_id, trace.attempt) is None:
        return f"{name} was recorded without the lock"
    if name == "running" and (trace.cancel_requested or trace.release_requested):
        return "running was recorded after a cancel or a release was requested"
    return None


def _refusal_fault(trace: TaskTrace, reason: str) -> str | None:
    if trace.refused is None:
        return f"its reason is {reason}, but its claim was not refused"
    if trace.refused != reason:
        return f"its reason is {reason}, but its claim was refused as {trace.refused}"
    return None


def lock_fault(table: LockTable, event: Recorded) -> str | None:
    """The fault of a lock fact; `table` is folded up to just before it."""
    fact: LockPayload = event.data
    task_id, attempt = fact["task_id"], fact["attempt"]
    grant = table.grant(task_id, attempt)
    if fact["seen_seq"] >= event.seq:
        return f"it says that its decider had seen sequence {fact['seen_seq']}"
    if event.event == "released":
        if grant is None or grant.claim.workspace != event.subject_id:
            return f"attempt {attempt} of task {task_id} does not hold what is released"
        owed = grant.owed
        if owed is None:
            return f"nothing has ended attempt {attempt} of task {task_id}, yet its lock is released"
        released: ReleasedPayload = event.data
        if owed != (released["cause"], released["cause_seq"], released["by"]):
            named = f"{released['cause']} at {released['cause_seq']} by {released['by']}"
            return f"the release names {named} as its cause; it is {owed.cause} at {owed.seq} by {owed.by}"
        return None
    late = _order_fault(table, event)
    if late is not None:
        return late
    void = table.void_claim(event.subject_id, task_id, attempt)
    claim = void.claim if void is not None else table.claim(event.subject_id, task_id, attempt)
    if grant is not None or claim is None:
        return f"attempt {attempt} of task {task_id} was not waiting for what is {event.event}"
    granted: GrantedPayload = event.data
    if (claim.root, list(claim.paths), claim.mode) != (granted["root"], granted["paths"], granted["mode"]):
        return f"what is {event.event} is not what attempt {attempt} of task {task_id} asked for"
    if event.event == "refused":
        return _verdict_fault(claim, void, event.data)
    if void is not None:
        late = changed(claim.workspace, claim.root, void.valid_root)
        return f"attempt {attempt} of task {task_id} was {late}"
    other = table.holder_beside(claim)
    if other is None:
        return None
    return (
        f"it is granted while attempt {other.claim.attempt} of task {other.claim.task_id} holds "
        f"what overlaps, since sequence {other.token}"
    )


def _order_fault(table: LockTable, event: Recorded) -> str | None:
    """The fault of a decision made at `seen_seq`: the claim's end and owed releases come first."""
    fact: LockPayload = event.data
    seen = fact["seen_seq"]
    ended = table.ended(event.subject_id, fact["task_id"], fact["attempt"])
    if ended is not None and ended.seq <= seen:
        return f"its decider had seen sequence {seen}, and {ended.cause} at {ended.seq} had ended the attempt"
    owed = table.owed_at(event.subject_id, seen)
    if owed is not None and owed.owed is not None:
        return (
            f"its decider had seen sequence {seen}, where the release of attempt {owed.claim.attempt} of "
            f"task {owed.claim.task_id} was owed since {owed.owed.seq}; releases come first"
        )
    return None


def _verdict_fault(claim: Claim, void: VoidClaim | None, refused: RefusedPayload) -> str | None:
    """The fault of a refusal, whose reason must agree with the verdict on its `dispatched`."""
    reason, valid_root = refused["reason"], refused["valid_root"]
    if (reason == "workspace-changed") != (void is not None):
        verdict = "not the workspace's" if void is not None else "the workspace's"
        return f"its reason is {reason}, but root {claim.root} was {verdict} where the attempt was dispatched"
    if valid_root != (void.valid_root if void is not None else claim.root):
        return f"it says that the workspace was at {valid_root} where the attempt was dispatched"
    if void is None and claim.on_conflict != "reject":
        return "a claim that wants to wait was refused"
    return None
