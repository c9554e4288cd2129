"""`Client`: every operation, blocking. `async_client.py` has the same without blocking."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from towpath_client import output, questions, stream, tasks
from towpath_client.calls import Deadline
from towpath_client.config import configured
from towpath_client.locks.lease import Holdings, claim_body
from towpath_client.locks.lock import Lock
from towpath_client.models import (
    Attempt,
    Event,
    LocksReleased,
    OutputRange,
    Question,
    Runner,
    RunResult,
    Task,
    TaskCount,
    Why,
    Workspace,
    WorkspaceLocks,
)
from towpath_client.output import RANGE_BYTES
from towpath_client.steps import Done, Emit, Feed, Operation, resume
from towpath_client.tasks import TaskFilters, TaskId, TaskOptions
from towpath_client.transport import Exchange, configuring, options

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

R = TypeVar("R")
T = TypeVar("T")


class Client:
    """One API. Use it as a context manager, or call `close`; threads may share it.

    `url` and `token` default to TOWPATH_URL and TOWPATH_TOKEN. `timeout`: seconds for a call with all its
    retries; each call takes another one. `on_behalf_of` (`kind:id:name`) and `role`: for whom a token that
    is marked `+behalf` acts, and what it may do then at most. Every method raises `TowpathError`: a
    `Problem` with the API's `code`, `Unreachable` if no connection could be made, `Unanswered` if the outcome
    is unknown.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        job_token: str | None = None,
        timeout: float = 30.0,
        on_behalf_of: str | None = None,
        role: str | None = None,
    ) -> None:
        self._config = configured(url, token, job_token, timeout, on_behalf_of, role)
        self._holdings = Holdings()
        self._process = os.getpid()
        self._http = self._connected()
        self._inherited: list[httpx.Client] = []

    def _connected(self) -> httpx.Client:
        with configuring():
            return httpx.Client(**options(self._config))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _exchange(self) -> Exchange:
        if self._process != os.getpid():  # after a fork, the parent's connections are the parent's
            self._inherited.append(self._http)
            self._http, self._process = self._connected(), os.getpid()
        return Exchange(self._http)

    def _run(self, operation: Operation[R]) -> R:
        exchange = self._exchange()
        try:
            step = resume(operation, None)
            while not isinstance(step, Done):
                step = resume(operation, exchange.perform(step))
            return cast("R", step.value)
        finally:
            operation.close()
            exchange.close()

    def _items(self, feed: Feed[T]) -> Iterator[T]:
        exchange = self._exchange()
        try:
            step: Any = resume(feed, None)
            while not isinstance(step, Done):
                if isinstance(step, Emit):
                    yield step.item
                    step = resume(feed, None)
                else:
                    step = resume(feed, exchange.perform(step))
        finally:
            feed.close()
            exchange.close()

    def _seconds(self, timeout: float | None) -> float:
        return self._config.timeout if timeout is None else timeout

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._seconds(timeout))

    def run(
        self,
        command: Sequence[str],
        *,
        key: str | None = None,
        id: TaskId | None = None,
        timeout: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> RunResult:
        """Create a task, dispatch it and wait for its end.

        `key` names the task: the same key again is the same task, whose result is returned without running it
        again. `options` are the fields of a task (`TaskOptions`). Leaving early does not cancel it.

        Raises:
            TimedOut: it has not ended within `timeout` seconds; it goes on.
            WorkspaceLocked: `on_conflict="reject"`, and others hold the paths.
            IdTaken: the key or id was used with another content.
        """
        return self._run(tasks.run(command, key, id, options, timeout, self._config.timeout))

    def create(
        self,
        command: Sequence[str],
        *,
        key: str | None = None,
        id: TaskId | None = None,
        dispatch: bool = False,
        timeout: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task, and with `dispatch` begin its first attempt. `key` and `options` as for `run`."""
        return self._run(tasks.create(command, key, id, dispatch, options, self._deadline(timeout)))

    def dispatch(self, task_id: TaskId, *, attempt: int | None = None, timeout: float | None = None) -> Task:
        """Begin the next attempt; with `attempt`, the one that you saw, `Changed` if another is current.

        Not repeated where the outcome is unknown (`Unanswered`): look at the task, then decide.
        """
        return self._run(tasks.dispatch(task_id, attempt, self._deadline(timeout)))

    def cancel(
        self,
        task_id: TaskId,
        reason: str | None = None,
        *,
        attempt: int | None = None,
        timeout: float | None = None,
    ) -> Task:
        """Cancel the current attempt: at once if it has not started, else its runner is asked to stop it.

        With `attempt`, the one that you saw: `Changed` if another is current. Without it, not repeated where
        the outcome is unknown (`Unanswered`).
        """
        return self._run(tasks.cancel(task_id, reason, attempt, self._deadline(timeout)))

    def wait(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        """The task once its current attempt has ended; `TimedOut` after `timeout` seconds, if given."""
        return self._run(tasks.wait(task_id, timeout, self._config.timeout))

    def get(self, task_id: TaskId, *, at: int | datetime | None = None, timeout: float | None = None) -> Task:
        """The task now, or as it was at a sequence of the log or a time."""
        return self._run(tasks.get(task_id, self._deadline(timeout), at))

    def tasks(
        self, *, order: str | None = None, timeout: float | None = None, **filters: Unpack[TaskFilters]
    ) -> Iterator[Task]:
        """Tasks that match all filters (`TaskFilters`), newest first; with `order="oldest"`, oldest first.

        Pages are read as they are needed.
        """
        return self._items(tasks.tasks(order, filters, self._seconds(timeout)))

    def count(self, *, timeout: float | None = None, **filters: Unpack[TaskFilters]) -> TaskCount:
        """How many tasks match all filters (`TaskFilters`): exact up to 10,000, then `capped`."""
        return self._run(tasks.count(filters, self._deadline(timeout)))

    def why(self, task_id: TaskId, *, timeout: float | None = None) -> Why:
        """What the task waits for, or what ended it: `sentence` is for people."""
        return self._run(tasks.why(task_id, self._deadline(timeout)))

    def attempts(self, task_id: TaskId, *, timeout: float | None = None) -> Iterator[Attempt]:
        """All attempts of the task in their order, with the time and the sequence of each step."""
        return self._items(tasks.attempts(task_id, self._seconds(timeout)))

    def trail(
        self,
        task_id: TaskId,
        *,
        event: str | None = None,
        actor: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[Event]:
        """All events of the task and of its lock, in the log's order."""
        return self._items(tasks.trail(task_id, event, actor, self._seconds(timeout)))

    def events(
        self,
        after: int | str | None = None,
        *,
        task_id: TaskId | None = None,
        workspace: str | None = None,
        event: str | None = None,
        actor: str | None = None,
        reconnect_seconds: float = 60.0,
    ) -> Iterator[Event]:
        """Events of the log behind `after` as they are recorded, without end: each once, in order.

        `after` is a sequence (`task.seq`), `"SEQ.EVENT_ID"`, or None: from the first connection on. A lost
        connection is made again for `reconnect_seconds`.

        Raises:
            OtherLog, BeyondTheLog: the log was replaced, by a restore.
        """
        return self._items(
            stream.events(
                after,
                {"task_id": task_id, "workspace": workspace, "event": event, "actor": actor},
                reconnect_seconds,
            )
        )

    def locks(
        self,
        workspace: str | None = None,
        *,
        at: int | datetime | None = None,
        timeout: float | None = None,
    ) -> Iterator[WorkspaceLocks]:
        """Who holds and who waits, in each workspace or in one; now, or at a sequence or time."""
        return self._items(tasks.locks(workspace, at, self._seconds(timeout)))

    def release(
        self, task_id: TaskId, reason: str, *, token: int | None = None, timeout: float | None = None
    ) -> LocksReleased:
        """Release by hand the lock of a task's current attempt, while its process may still run.

        With `token`, the one that you saw: `Changed` if it is not held now. Not repeated where the outcome is
        unknown (`Unanswered`).
        """
        return self._run(tasks.release(task_id, reason, token, self._deadline(timeout)))

    def output(
        self,
        task_id: TaskId,
        *,
        attempt: int | None = None,
        offset: int = 0,
        follow: bool = False,
        timeout: float | None = None,
    ) -> Iterator[bytes]:
        """The output of an attempt (default: the current one) from `offset`; negative: from the end.

        `follow`: go on until the attempt has ended. Parts end anywhere, also within a character.

        Raises:
            RunnerAway: the runner that keeps it does not answer for the whole of `timeout`.
            OutputGone: it was deleted, or never kept.
        """
        return self._items(output.output(task_id, attempt, offset, follow, self._seconds(timeout)))

    def output_range(
        self,
        task_id: TaskId,
        *,
        attempt: int | None = None,
        offset: int = 0,
        limit: int = RANGE_BYTES,
        wait: float = 0.0,
        timeout: float | None = None,
    ) -> OutputRange:
        """At most `limit` bytes (1 MiB) of the output of an attempt, from `offset`; raises as `output`.

        `wait`: seconds (20 at most) to wait for a byte, if the output is not complete.
        """
        return self._run(output.output_range(task_id, attempt, offset, limit, wait, self._seconds(timeout)))

    def runners(self, *, timeout: float | None = None) -> Iterator[Runner]:
        """Yield all runners and their last heartbeats."""
        return self._items(tasks.runners(self._seconds(timeout)))

    def workspaces(self, *, timeout: float | None = None) -> Iterator[Workspace]:
        """All registered workspaces."""
        return self._items(tasks.workspaces(self._seconds(timeout)))

    def ask(
        self,
        text: str,
        choices: Sequence[str] | None = None,
        *,
        free_text: bool = False,
        expires_seconds: float | None = None,
        default: str | None = None,
        task_id: TaskId | None = None,
        question_id: str | None = None,
        timeout: float | None = None,
    ) -> Question:
        """Ask a person from within a task's job and wait; `answer` of the result is the answer.

        `task_id` is that of the environment of the job. `timeout`: seconds, None: no limit. With a
        `question_id` of yours, the same call again waits on for the answer to the same question.

        Raises:
            QuestionExpired: `expires_seconds` are over, and it has no default.
            QuestionClosed: the attempt has ended or was asked to stop.
        """
        return self._run(
            questions.ask(
                text,
                choices,
                free_text,
                expires_seconds,
                default,
                task_id,
                self._holdings.job_token(task_id, self._config.job_token),
                question_id,
                timeout,
                self._config.timeout,
            )
        )

    def question(self, task_id: TaskId, question_id: str, *, timeout: float | None = None) -> Question:
        """Return a question with its state and its answer."""
        return self._run(questions.question(task_id, question_id, self._deadline(timeout)))

    def answer(
        self,
        task_id: TaskId,
        choice: str | None = None,
        *,
        text: str | None = None,
        question_id: str | None = None,
        timeout: float | None = None,
    ) -> Question:
        """Answer the open question of a task with one of its choices, or with a text.

        Raises:
            NoOpenQuestion: the task asks nothing.
            AlreadyAnswered: another answer was first.
        """
        return self._run(questions.answer(task_id, choice, text, question_id, self._deadline(timeout)))

    def lock(
        self,
        workspace: str,
        paths: Sequence[str] = (),
        *,
        shared: bool = False,
        wait: float | None = None,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Lock:
        """A lock on paths of a workspace ([]: all of it), to be used with `with`; renewed in the background.

        `wait`: seconds, None: without limit, 0: not at all. In the trail it is a task.

        Raises (from `with`):
            LockNotGranted: not within `wait`, or the claim was canceled.
            WorkspaceLocked: `wait` is 0, and others hold the paths.
        """
        holding = self._holdings.new(self._config.timeout)
        body = claim_body(holding, workspace, paths, shared, wait, title, labels)
        return Lock(self._run, holding, body)
