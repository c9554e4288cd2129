"""`AsyncClient`: every operation without blocking; `client.py` describes each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from towpath_client import output, questions, stream, tasks
from towpath_client.calls import Deadline
from towpath_client.config import configured
from towpath_client.errors import BadConfiguration
from towpath_client.locks.async_lock import AsyncLock
from towpath_client.locks.lease import Holdings, claim_body
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
from towpath_client.transport import AsyncExchange, configuring, options

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

R = TypeVar("R")
T = TypeVar("T")


class AsyncClient:
    """As `Client`, for one event loop. Use it as an async context manager, or call `close`."""

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
        with configuring():
            self._http = httpx.AsyncClient(**options(self._config))
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _exchange(self) -> AsyncExchange:
        running = asyncio.get_running_loop()
        self._loop = self._loop or running
        if self._loop is not running:  # its connections are of the other one, which may have ended
            raise BadConfiguration("this client is of another event loop: make one for each")
        return AsyncExchange(self._http)

    async def _run(self, operation: Operation[R]) -> R:
        exchange = self._exchange()
        try:
            step = resume(operation, None)
            while not isinstance(step, Done):
                step = resume(operation, await exchange.perform(step))
            return cast("R", step.value)
        finally:
            operation.close()
            await exchange.close()

    async def _items(self, feed: Feed[T]) -> AsyncIterator[T]:
        exchange = self._exchange()
        try:
            step: Any = resume(feed, None)
            while not isinstance(step, Done):
                if isinstance(step, Emit):
                    yield step.item
                    step = resume(feed, None)
                else:
                    step = resume(feed, await exchange.perform(step))
        finally:
            feed.close()
            await exchange.close()

    def _seconds(self, timeout: float | None) -> float:
        return self._config.timeout if timeout is None else timeout

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._seconds(timeout))

    async def run(
        self,
        command: Sequence[str],
        *,
        key: str | None = None,
        id: TaskId | None = None,
        timeout: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> RunResult:
        """See `Client.run`."""
        return await self._run(tasks.run(command, key, id, options, timeout, self._config.timeout))

    async def create(
        self,
        command: Sequence[str],
        *,
        key: str | None = None,
        id: TaskId | None = None,
        dispatch: bool = False,
        timeout: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """See `Client.create`."""
        return await self._run(tasks.create(command, key, id, dispatch, options, self._deadline(timeout)))

    async def dispatch(
        self, task_id: TaskId, *, attempt: int | None = None, timeout: float | None = None
    ) -> Task:
        """See `Client.dispatch`."""
        return await self._run(tasks.dispatch(task_id, attempt, self._deadline(timeout)))

    async def cancel(
        self,
        task_id: TaskId,
        reason: str | None = None,
        *,
        attempt: int | None = None,
        timeout: float | None = None,
    ) -> Task:
        """See `Client.cancel`."""
        return await self._run(tasks.cancel(task_id, reason, attempt, self._deadline(timeout)))

    async def wait(self, task_id: TaskId, *, timeout: float | None = None) -> Task:
        """See `Client.wait`."""
        return await self._run(tasks.wait(task_id, timeout, self._config.timeout))

    async def get(
        self, task_id: TaskId, *, at: int | datetime | None = None, timeout: float | None = None
    ) -> Task:
        """See `Client.get`."""
        return await self._run(tasks.get(task_id, self._deadline(timeout), at))

    def tasks(
        self, *, order: str | None = None, timeout: float | None = None, **filters: Unpack[TaskFilters]
    ) -> AsyncIterator[Task]:
        """See `Client.tasks`."""
        return self._items(tasks.tasks(order, filters, self._seconds(timeout)))

    async def count(self, *, timeout: float | None = None, **filters: Unpack[TaskFilters]) -> TaskCount:
        """See `Client.count`."""
        return await self._run(tasks.count(filters, self._deadline(timeout)))

    async def why(self, task_id: TaskId, *, timeout: float | None = None) -> Why:
        """See `Client.why`."""
        return await self._run(tasks.why(task_id, self._deadline(timeout)))

    def attempts(self, task_id: TaskId, *, timeout: float | None = None) -> AsyncIterator[Attempt]:
        """See `Client.attempts`."""
        return self._items(tasks.attempts(task_id, self._seconds(timeout)))

    def trail(
        self,
        task_id: TaskId,
        *,
        event: str | None = None,
        actor: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Event]:
        """See `Client.trail`."""
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
    ) -> AsyncIterator[Event]:
        """See `Client.events`."""
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
    ) -> AsyncIterator[WorkspaceLocks]:
        """See `Client.locks`."""
        return self._items(tasks.locks(workspace, at, self._seconds(timeout)))

    async def release(
        self, task_id: TaskId, reason: str, *, token: int | None = None, timeout: float | None = None
    ) -> LocksReleased:
        """See `Client.release`."""
        return await self._run(tasks.release(task_id, reason, token, self._deadline(timeout)))

    def output(
        self,
        task_id: TaskId,
        *,
        attempt: int | None = None,
        offset: int = 0,
        follow: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[bytes]:
        """See `Client.output`."""
        return self._items(output.output(task_id, attempt, offset, follow, self._seconds(timeout)))

    async def output_range(
        self,
        task_id: TaskId,
        *,
        attempt: int | None = None,
        offset: int = 0,
        limit: int = RANGE_BYTES,
        wait: float = 0.0,
        timeout: float | None = None,
    ) -> OutputRange:
        """See `Client.output_range`."""
        return await self._run(
            output.output_range(task_id, attempt, offset, limit, wait, self._seconds(timeout))
        )

    def runners(self, *, timeout: float | None = None) -> AsyncIterator[Runner]:
        """See `Client.runners`."""
        return self._items(tasks.runners(self._seconds(timeout)))

    def workspaces(self, *, timeout: float | None = None) -> AsyncIterator[Workspace]:
        """See `Client.workspaces`."""
        return self._items(tasks.workspaces(self._seconds(timeout)))

    async def ask(
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
        """See `Client.ask`."""
        return await self._run(
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

    async def question(self, task_id: TaskId, question_id: str, *, timeout: float | None = None) -> Question:
        """See `Client.question`."""
        return await self._run(questions.question(task_id, question_id, self._deadline(timeout)))

    async def answer(
        self,
        task_id: TaskId,
        choice: str | None = None,
        *,
        text: str | None = None,
        question_id: str | None = None,
        timeout: float | None = None,
    ) -> Question:
        """See `Client.answer`."""
        return await self._run(questions.answer(task_id, choice, text, question_id, self._deadline(timeout)))

    def lock(
        self,
        workspace: str,
        paths: Sequence[str] = (),
        *,
        shared: bool = False,
        wait: float | None = None,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncLock:
        """See `Client.lock`."""
        holding = self._holdings.new(self._config.timeout)
        body = claim_body(holding, workspace, paths, shared, wait, title, labels)
        return AsyncLock(self._run, holding, body)
