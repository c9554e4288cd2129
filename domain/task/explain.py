"""Explains a task in one sentence: what it waits for, where it runs, or what ended it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from domain.actors import shown_actor
from domain.identifiers import FencingToken, RunnerId, TaskId
from domain.locks.judging import Void, changed
from domain.locks.view import HolderRead, LockEntry, WaiterRead
from domain.log.payloads import CancelRequestedPayload, RefusedPayload, ToldPayload
from domain.log.record import Recorded
from domain.task.question import QuestionRead
from domain.task.transitions import TERMINAL, Status
from domain.task.view import TaskRead
from domain.validation.outside_text import shortened
from domain.workspaces.paths import listed

Stage = Literal[
    "not-dispatched",
    "waits-for-lock",
    "waits-for-runner",
    "waits-to-start",
    "running",
    "waits-for-answer",
    "waits-to-retry",
    "ended",
]
MOST_BLOCKERS = 100
TITLE_CHARS = 80
QUESTION_CHARS = 300


class Blocker(BaseModel):
    """A task that blocks another: it holds (`token`, `runner_id`, `since` its grant) or waits itself."""

    task_id: TaskId
    attempt: int
    title: str | None
    holds: bool
    paths: list[str]
    token: FencingToken | None
    runner_id: RunnerId | None
    since: datetime


class Why(BaseModel):
    """The explanation. `event` is the task's last event, or the one that ended it."""

    task_id: TaskId
    status: Status
    attempt: int
    stage: Stage
    sentence: str
    since: datetime
    blocked_by: list[Blocker]
    event: dict[str, Any]


def blockers(read: TaskRead, entry: LockEntry | None) -> list[Blocker]:
    """The claims that block a waiting task, holders first, without titles."""
    if entry is None or read.lock.state != "waiting":
        return []
    named = set(read.lock.blocked_by)
    claims: list[HolderRead | WaiterRead] = [*entry.holders, *entry.waiters]
    in_the_way = [one for one in claims if one.task_id in named]
    return [
        Blocker(
            task_id=one.task_id,
            attempt=one.attempt,
            title=None,
            holds=isinstance(one, HolderRead),
            paths=one.paths,
            token=one.token if isinstance(one, HolderRead) else None,
            runner_id=one.runner_id if isinstance(one, HolderRead) else None,
            since=one.since,
        )
        for one in in_the_way[:MOST_BLOCKERS]
    ]


def explain(
    read: TaskRead,
    last: Recorded,
    in_the_way: list[Blocker],
    asked: Recorded | None = None,
    void: Void | None = None,
    refused: Recorded | None = None,
    *,
    now: datetime,
) -> Why:
    """Explain the task `read`, whose last event, or whose end, is `last`.

    `asked`: the cancel request that led to its end, or that ended its retries; `void`: why its `dispatched`
    is void, if it is; `refused`: the lock event that refused its claim.
    """
    stage, since, words = _of(read, last, in_the_way, now)
    if read.status is Status.DISPATCHED and (refusal := _refusal(void, refused)) is not None:
        words = f"was {refusal}: this attempt is being refused, dispatch it again then"
        stage = "waits-for-lock"
    if asked is not None and stage == "ended":
        words += _at_whose_wish(read, asked)
    return Why(
        task_id=read.id,
        status=read.status,
        attempt=read.attempt,
        stage=stage,
        sentence=f"{_name(read.title, read.id)} {words}.",
        since=since,
        blocked_by=in_the_way,
        event=last.as_json(),
    )


def _of(
    read: TaskRead, last: Recorded, in_the_way: list[Blocker], now: datetime
) -> tuple[Stage, datetime, str]:
    if read.status in TERMINAL:
        stage: Stage = "ended" if read.next_attempt_at is None else "waits-to-retry"
        return stage, last.at, _ended(read, last) + _next_attempt(read)
    if read.status is Status.CREATED:
        words = f"waits to be dispatched since {_at(last.at)}: no dispatch was requested"
        return "not-dispatched", last.at, words
    since = read.dispatched_at or last.at
    if read.status is Status.DISPATCHED:
        if read.lock.state == "waiting":
            return "waits-for-lock", since, _waits(read, since, in_the_way)
        if read.lock.state == "held" and read.lock.since is not None:
            since = read.lock.since
        what = f"waits for a runner of pool {read.pool} to take it, since {_at(since)}"
        return "waits-for-runner", since, what + _locked(read)
    asked = _asked_to_stop(last)
    if read.status is Status.QUEUED:
        since = read.queued_at or since
        words = f"waits {_on(read)} to be started, since {_at(since)}{_locked(read)}{asked}"
        return "waits-to-start", since, words
    question = read.question
    if question is not None and question.waits(now):
        return "waits-for-answer", question.asked_at, _asks(read, question)
    since = read.started_at or since
    words = f"has been running {_on(read)} since {_at(since)}{_locked(read)}{asked}"
    return "running", since, words + (_unanswered(read, question) if question is not None else "")


def _asks(read: TaskRead, question: QuestionRead) -> str:
    until = f", until {_at(question.expires_at)}" if question.expires_at is not None else ""
    then = f", then `{question.default}` stands" if question.default is not None else ""
    paused = "; its timeout stands still meanwhile" if read.timeout_pauses else ""
    return (
        f"asks since {_at(question.asked_at)}{until}{then}: {_asked(question)}{_locked(read)}{paused}; "
        f"answer with `towpath answer {read.id}`"
    )


def _unanswered(read: TaskRead, question: QuestionRead) -> str:
    assert question.expires_at is not None
    return (
        f"; no answer came until {_at(question.expires_at)} to what it asked: {_asked(question)}; "
        f"`towpath answer {read.id}` still records one"
    )


def _asked(question: QuestionRead) -> str:
    offered = " / ".join([*(question.choices or []), *(["any text"] if question.free_text else [])])
    return f"{shortened(' '.join(question.text.split()), QUESTION_CHARS)} ({offered})"


def _refusal(void: Void | None, refused: Recorded | None) -> str | None:
    """Why a claim is never granted; None for any other claim."""
    if void is not None:
        return void.changed()
    if refused is None:
        return None
    data: RefusedPayload = refused.data
    if data["reason"] == "workspace-changed":
        return changed(refused.subject_id, data["root"], data["valid_root"])
    holders = ", ".join(holder["task_id"] for holder in data["holders"])
    return f"refused its lock, as workspace {refused.subject_id} is held by {holders}"


def _waits(read: TaskRead, since: datetime, in_the_way: list[Blocker]) -> str:
    what = f"waits for {_paths(read.lock_paths)} in {read.workspace} since {_at(since)}"
    if not in_the_way:
        return f"{what}: nothing blocks it any more, and the lock projection is about to decide"
    first, *others = in_the_way
    who = _name(first.title, first.task_id)
    if first.holds:
        runner = f" on {first.runner_id}" if first.runner_id else ", which no runner has taken yet,"
        behind = f"{who}{runner} has held {_paths(first.paths)} since {_at(first.since)}"
    else:
        behind = f"{who}, which came first, waits for {_paths(first.paths)} since {_at(first.since)}"
    more = f", and {len(others)} more {'is' if len(others) == 1 else 'are'} before it" if others else ""
    return f"{what}: {behind}{more}"


def _ended(read: TaskRead, last: Recorded) -> str:
    data: ToldPayload = last.data
    code, reason, message = data.get("exit_code"), data.get("reason"), data.get("message")
    shown = None if code is None or str(code) in (message or "") else f"exit code {code}"
    told = ", ".join(word for word in (shown, None if reason == "exit" else reason, message) if word)
    verb = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}.get(
        last.event, "reached no runner"
    )
    said_by = shown_actor(last.actor)
    return f"{verb} at {_at(last.at)}{f' ({told})' if told else ''}: said by {said_by}, event {last.seq}"


def _next_attempt(read: TaskRead) -> str:
    if read.retry is None or read.status not in (Status.FAILED, Status.SUBMIT_FAILED):
        return ""
    most = read.retry.max_attempts
    if read.next_attempt_at is None:
        return f"; this was attempt {read.attempt} of {most}, and no other follows by itself"
    return f"; attempt {read.attempt + 1} of {most} is next, at {_at(read.next_attempt_at)}"


def _at_whose_wish(read: TaskRead, asked: Recorded) -> str:
    data: CancelRequestedPayload = asked.data
    reason = data["reason"]
    why = f" ({' '.join(reason.split())})" if reason else ""
    what = "asked for it" if read.status is Status.CANCELED else "asked it to stop"
    return f"; {shown_actor(asked.actor)} {what} at {_at(asked.at)}{why}, event {asked.seq}"


def _asked_to_stop(last: Recorded) -> str:
    if last.event == "cancel-requested":
        return f"; {shown_actor(last.actor)} asked it to stop at {_at(last.at)}"
    if last.event == "lock-release-requested":
        return f"; {shown_actor(last.actor)} freed its lock by hand at {_at(last.at)}"
    return ""


def _on(read: TaskRead) -> str:
    where = f"on {read.runner_id}" if read.runner_id else "on a runner"
    return f"{where} (which is {read.runner_state})" if read.runner_state in ("suspected", "lost") else where


def _locked(read: TaskRead) -> str:
    if read.lock.state != "held":
        return ""
    return f", holding {_paths(read.lock_paths)} in {read.workspace} with token {read.lock.token}"


def _name(title: str | None, task_id: TaskId) -> str:
    return f"{' '.join(title.split())[:TITLE_CHARS]} ({task_id})" if title else task_id


def _paths(paths: list[str]) -> str:
    return listed(paths) or "the whole workspace"


def _at(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
