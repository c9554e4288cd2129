"""The protocol by which a program holds a lock: it acts as a runner with a key of its own, over HTTP.

The protocol of `towpath lock`. The runner makes a key, and its id and pool end with the key's digest: with
the key it may report for tasks of that pool alone, and, with an operator's token, send heartbeats of that id.
The lease counts from the sending of an acknowledged heartbeat, on a clock that counts a sleep of the machine;
once it is over the lock is lost, before the control plane's grace begins and anybody else is granted it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any
from weakref import WeakValueDictionary

from towpath_client.calls import Deadline, call, parsed, pauses, problem_of
from towpath_client.errors import LockLost, LockNotGranted, Problem, TowpathError, Unanswered, Unreachable
from towpath_client.ids import new_id
from towpath_client.locks.nesting import outer_lock, tasks_around
from towpath_client.models import HeartbeatAnswer, LockState, Status, Task
from towpath_client.problems import WorkspaceLocked
from towpath_client.questions import RUNNER_TOKEN
from towpath_client.steps import Answer, Operation, Pause, Request, Send, path
from towpath_client.tasks import cancel, get

ATTEMPT = 1
FIRST_LEASE_SECONDS = 15.0
AGAIN_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 2.0
LEAVE_SECONDS = 2.0
BEATS_A_LEASE = 3.0
CANCEL_SECONDS = 5.0
MARK, DIGEST_CHARS, NAME_CHARS = "-lock-", 32, 64
MESSAGE_CHARS = 2000
JOB_TOKEN_FIELD = "towpath-job-token"  # noqa: S105 - a header
_TRANSIENT = (408, 429, 502, 503, 504, 507)


def boottime() -> float:
    """Seconds on a clock that also counts the time in which the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Holding:
    """One claim: who its runner is, how long its lease lasts, and why it was lost."""

    def __init__(self, call_seconds: float) -> None:
        key = "key." + secrets.token_hex(32)
        self.host = platform.node() or "host"
        shown = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in self.host)
        digest = hashlib.sha256(key.encode()).hexdigest()[:DIGEST_CHARS]
        self.runner_id = shown[: NAME_CHARS - len(MARK) - DIGEST_CHARS] + MARK + digest
        self.task_id = new_id()
        self.headers = {RUNNER_TOKEN: key}
        self.call_seconds = call_seconds
        self.process = os.getpid()
        self.deadline = 0.0
        self.lease_seconds = FIRST_LEASE_SECONDS
        self._begun = False
        self.holds = False
        """Whether heartbeats list the attempt."""
        self.token: int | None = None
        self.job_token: str | None = None
        """With which questions are asked while it is held."""
        self.lost: str | None = None
        """Why it was lost."""
        self.canceled = False
        self.refused = False
        """Whether others hold the paths, so that the claim ends without being withdrawn, and says who."""
        self.refusal: TowpathError | None = None
        """Why the last heartbeat was refused."""
        self._counter = 0

    def begin(self) -> None:
        """Refuse a second use."""
        if self._begun:
            raise RuntimeError("a lock is used once: ask the client for another one")
        self._begun = True

    @property
    def valid(self) -> bool:
        """Whether the lease lasts."""
        return boottime() < self.deadline

    def look(self) -> bool:
        """Whether the lock is still held; notes that it is lost once its lease is over."""
        if self.lost is None and self.token is not None and not self.valid:
            self.lost = "no heartbeat was acknowledged for the length of the lease"
        return self.lost is None

    def check(self) -> int:
        """The token. LockLost if it is held no longer, or by another process."""
        if os.getpid() != self.process:
            raise LockLost("the lock is of the process that acquired it, before this one was forked")
        if self.token is None:
            raise LockLost("the lock is not held: use it inside its `with`")
        if not self.look():
            raise LockLost(f"the lock is lost: {self.lost}")
        return self.token

    def beat(self, leaving: bool = False) -> Request:
        """A heartbeat; its answer comes before the lease is over, or not at all."""
        self._counter = max(self._counter + 1, int(time.time() * 1000))
        seconds = self.lease_seconds / BEATS_A_LEASE
        if self.token is not None:
            seconds = max(min(seconds, self.deadline - boottime()), 0.01)
        body = {
            "runner_id": self.runner_id,
            "pools": [self.runner_id],
            "host": self.host,
            "capacity": 1,
            "counter": self._counter,
            "held": [{"task_id": self.task_id, "attempt": ATTEMPT}] if self.holds else [],
            "leaving": leaving,
        }
        seconds = LEAVE_SECONDS if leaving else seconds
        return Request("POST", "/runner/heartbeat", body=body, headers=self.headers, seconds=seconds)

    def report(self, status: str, **fields: Any) -> Request:
        """A report about the attempt; it may be repeated."""
        given = {name: value for name, value in fields.items() if value is not None}
        body = {"attempt": ATTEMPT, "runner_id": self.runner_id, "status": status, **given}
        where = path("runner", "tasks", self.task_id, "status")
        return Request("POST", where, body=body, headers=self.headers, seconds=10.0)


def claim_body(
    holding: Holding,
    workspace: str,
    paths: Sequence[str],
    shared: bool,
    wait: float | None,
    title: str | None,
    labels: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The task that stands for the lock. `wait` 0: refuse instead of waiting."""
    if isinstance(paths, (str, bytes)):
        raise TypeError("`paths` is a list of paths")
    program = _program()
    waits: dict[str, Any] = {} if wait is None else {"lock_wait_seconds": wait}
    if wait is not None and wait <= 0:
        waits = {"on_conflict": "reject"}
    return {
        "id": holding.task_id,
        "pool": holding.runner_id,
        "command": [program],
        "title": title if title is not None else program,
        "workspace": workspace,
        "lock_paths": list(paths),
        "lock_mode": "shared" if shared else "exclusive",
        "labels": dict(labels or {}),
        **waits,
    }


def _program() -> str:
    """The name of this program, for people; its arguments may hold secrets."""
    file = PurePath(sys.argv[0] if sys.argv else "")
    name = file.parent.name if file.name == "__main__.py" else file.name
    name = name if name and not name.startswith("-") else "python"
    return name.encode("utf-8", "replace")[:255].decode("utf-8", "ignore")


def acquire(holding: Holding, body: Mapping[str, Any]) -> Operation[None]:
    """Claim, wait for the grant, and report `running`; the heartbeats go on beside it."""
    request = Request("POST", "/tasks", {"dispatch": True}, body)
    try:
        task = parsed(Task, (yield from call(request, Deadline(holding.call_seconds), repeatable=True)))
    except WorkspaceLocked:
        holding.refused = True
        raise
    holding.holds = True
    between = pauses(LONGEST_LOOK_SECONDS)
    around, seen = tasks_around(), set[str]()
    while task.status != Status.DISPATCHED or task.lock.state != LockState.HELD:
        if task.status != Status.DISPATCHED:
            raise LockNotGranted(task.message or task.reason or f"the claim is {task.status}")
        outer = yield from outer_lock(task.lock.blocked_by, around, seen, holding.call_seconds)
        if outer is not None:
            raise LockNotGranted(
                f"it waits for the lock under which this program runs (task {outer}), and so without end"
            )
        yield Pause(next(between))
        task = yield from get(task.id, Deadline(holding.call_seconds))
    token = task.lock.token
    yield from _permitted(holding)
    holding.token = token


def _permitted(holding: Holding) -> Operation[None]:
    """Under the lease, report `running` until it is known to stand in the log."""
    while True:
        if not holding.valid:
            refusal = holding.refusal
            if isinstance(refusal, Problem) and refusal.status not in _TRANSIENT:
                raise refusal
            yield Pause(AGAIN_SECONDS / 10)
            continue
        try:
            answer: Answer = yield Send(holding.report("running"))
        except (Unreachable, Unanswered):
            yield Pause(AGAIN_SECONDS)
            continue
        if not answer.ok:
            error = problem_of(answer)
            if not _later(error) and getattr(error, "code", "") != "not-granted":
                raise error
            yield Pause(AGAIN_SECONDS)
            continue
        task = parsed(Task, answer)
        holding.job_token = answer.headers.get(JOB_TOKEN_FIELD, holding.job_token)
        if task.status != Status.RUNNING or task.runner_id != holding.runner_id or task.cancel_requested:
            raise LockNotGranted(f"the claim is {task.status}, and was to be canceled")
        if holding.valid:
            return


def _later(error: TowpathError) -> bool:
    return isinstance(error, Unanswered) or (isinstance(error, Problem) and error.status in _TRANSIENT)


def withdraw(holding: Holding) -> Operation[None]:
    """Take the claim out of the queue, also one whose creation is still under way."""
    if holding.refused:
        return
    for _ in range(4):
        try:
            task = yield from cancel(
                holding.task_id, "its program gave it up", None, Deadline(CANCEL_SECONDS)
            )
        except (Unanswered, Unreachable):
            pass
        except Problem as problem:
            if problem.status == 409:
                holding.holds = False
                return
            if problem.status not in (404, *_TRANSIENT):
                return
        else:
            holding.holds = task.status in (Status.QUEUED, Status.RUNNING)
            if holding.holds:
                yield from finish(holding, "canceled", message="it was given up before its work began")
            return
        yield Pause(AGAIN_SECONDS / 4)


def beat(holding: Holding) -> Operation[float]:
    """One heartbeat, and what follows from it; seconds until the next one."""
    if not (holding.holds or holding.deadline):
        return AGAIN_SECONDS / 10  # the first heartbeat lists the attempt
    begun = boottime()
    pause = AGAIN_SECONDS
    try:
        answer: Answer = yield Send(holding.beat())
        if answer.ok:
            _renew(holding, begun, parsed(HeartbeatAnswer, answer))
            pause = holding.lease_seconds / BEATS_A_LEASE
        else:
            holding.refusal = problem_of(answer)
    except TowpathError as error:
        holding.refusal = error
    pause = max(begun + pause - boottime(), 0.01)
    if holding.look() and holding.token is not None:
        pause = min(pause, max(holding.deadline - boottime(), 0.0))
    return pause


def _renew(holding: Holding, sent_at: float, answer: HeartbeatAnswer) -> None:
    if not holding.look():
        return
    holding.refusal = None
    holding.lease_seconds = answer.lease_seconds
    holding.deadline = max(holding.deadline, sent_at + answer.lease_seconds)
    if any(one.wanted == "stop" for one in answer.wanted) and holding.token is not None:
        holding.lost = "it was canceled, or released by hand"
        holding.canceled = True


def beats_on(holding: Holding) -> bool:
    """Whether heartbeats go on: also after a cancel, until its work has stopped."""
    return holding.lost is None or holding.canceled


def end_of(holding: Holding, error: BaseException | None) -> dict[str, Any]:
    """The report of the end, from how the block was left."""
    if holding.canceled:
        return {"status": "canceled", "message": "its program has stopped"}
    if not holding.look():
        return {"status": "failed", "reason": "runner-lost", "message": holding.lost}
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return {"status": "succeeded"}
    text = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
    return {"status": "failed", "reason": "error", "message": text[:MESSAGE_CHARS]}


def finish(holding: Holding, status: str, **fields: Any) -> Operation[None]:
    """Report the end until it is answered, at most until the lease is over.

    Raises:
        Unreachable, Unanswered, Problem: it could not be reported; the lock comes back after lease and grace.
    """
    until = max(holding.deadline, boottime() + LEAVE_SECONDS)
    request = holding.report(status, **fields)
    while True:
        error: TowpathError
        try:
            answer: Answer = yield Send(request)
        except (Unreachable, Unanswered) as lost:
            error = lost
        else:
            if answer.ok or answer.status == 409:
                holding.holds = False
                return
            error = problem_of(answer)
            if not _later(error):
                raise error
        if boottime() > until:
            raise error
        yield Pause(AGAIN_SECONDS)


class Holdings:
    """The locks that a client has made, while anything else knows them."""

    def __init__(self) -> None:
        self._all: WeakValueDictionary[str, Holding] = WeakValueDictionary()

    def new(self, call_seconds: float) -> Holding:
        """For a lock that is about to be claimed."""
        holding = Holding(call_seconds)
        self._all[holding.task_id] = holding
        return holding

    def job_token(self, task_id: object, otherwise: str | None) -> str | None:
        """With which a question of a task is asked: that of the lock that it stands for, or `otherwise`."""
        holding = self._all.get(str(task_id))
        return holding.job_token if holding is not None else otherwise


def goodbye(holding: Holding) -> Operation[None]:
    """Say that this runner leaves, so that it is gone and not lost."""
    if holding.deadline > 0:
        with suppress(TowpathError):
            yield Send(holding.beat(leaving=True))
