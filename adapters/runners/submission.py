"""Submits attempts to runners: to a pool's work queue, or by HTTP to a push runner.

A pool's queue stores a submission at most once per attempt within the duplicate window; a push runner
treats a repeated one as already accepted. Sending again after an unknown outcome is therefore idempotent.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from dataclasses import dataclass

import httpx
from nats.aio.client import Client
from pydantic import ValidationError

from adapters.nats.jetstream_api import LogUnreachable
from adapters.nats.publish import publish
from domain import subjects
from domain.context.trace import with_traceparent
from domain.errors import Busy
from domain.identifiers import RunnerId, TaskId
from domain.ports.dispatch import RunnerClient, SubmitOutcome, SubmitRejected, SubmitUnreachable
from domain.protocol import RUNNER_AUTH_HEADER, Accepted, Submission
from domain.subjects import Stream
from domain.validation.bounded_response import PLAIN, AnswerUnusable, bounded
from domain.validation.json_reader import NotJson, parsed, read_json
from domain.validation.outside_text import shortened, storable

PUSH_SECONDS = 10.0
SUBMITS = 16
CANCELS = 4
ANSWER_BYTES = 64 * 1024
DETAIL_CHARS = 500
_NOTHING_TO_CANCEL = (404, 409, 410)


class QueueRunnerClient:
    """Port `RunnerClient` on TOWPATH_SUBMIT; the runner reports `queued` itself.

    A submission holds env values in clear text, so one that no runner takes expires after `keep_seconds`,
    which must be longer than the attempt's deadline.
    """

    def __init__(self, connection: Client, keep_seconds: float) -> None:
        self._nc = connection
        self._ttl = f"{math.ceil(keep_seconds)}s"

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """See the port."""
        body = submission.model_dump_json().encode()
        # The body holds the attempt token, so no other sender can compute this id.
        message_id = hashlib.sha256(body).hexdigest()
        headers = with_traceparent({"Nats-Msg-Id": message_id, "Nats-TTL": self._ttl})
        try:
            await publish(self._nc, Stream.SUBMIT, subjects.submit(pool), body, headers)
        except LogUnreachable as error:
            raise SubmitUnreachable(f"the queue of pool {pool} did not take it: {error.detail}") from error
        return SubmitOutcome(queued=False, transport="nats")

    async def cancel(self, task_id: TaskId, attempt: int, pool: str) -> None:
        """Do nothing: runners on NATS follow the events of their attempts."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class PushRunnerClient:
    """Port `RunnerClient` for one runner with an HTTP intake. Follows no redirects.

    `seconds` bounds each exchange as a whole. At most SUBMITS and CANCELS requests run at once, and as many
    more wait; further ones raise Busy and are redelivered, so that a runner that does not answer cannot
    occupy the whole dispatcher.
    """

    def __init__(
        self, http: httpx.AsyncClient, base_url: str, token: str | None, *, seconds: float = PUSH_SECONDS
    ) -> None:
        self._http = http
        self._seconds = seconds
        self._base_url = base_url.rstrip("/")
        self._headers = {RUNNER_AUTH_HEADER: token} if token else {}
        self._submits, self._cancels = _Slots(SUBMITS), _Slots(CANCELS)

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """See the port."""
        async with self._submits:
            answer = await self._post("/tasks/submit", submission.model_dump_json())
        if 400 <= answer.status < 500 and answer.status not in (408, 429):
            raise SubmitRejected(f"the runner refused with {answer.status}: {_reason(answer.body)}")
        if not answer.is_success:
            raise SubmitUnreachable(f"the runner answered {answer.status}: {_reason(answer.body)}")
        runner_id, instance = _who(answer.body)
        return SubmitOutcome(queued=True, transport="http", runner_id=runner_id, instance=instance)

    async def cancel(self, task_id: TaskId, attempt: int, pool: str) -> None:
        """See the port. An unknown or ended task is no error: the runner may never have received it."""
        async with self._cancels:
            answer = await self._post(f"/tasks/{task_id}/cancel", f'{{"attempt": {attempt}}}')
        if not answer.is_success and answer.status not in _NOTHING_TO_CANCEL:
            raise SubmitUnreachable(
                f"the runner answered {answer.status} to a cancel: {_reason(answer.body)}"
            )

    async def _post(self, path: str, body: str) -> _Answer:
        headers = with_traceparent({**self._headers, **PLAIN, "Content-Type": "application/json"})
        asking = self._http.stream(
            "POST",
            self._base_url + path,
            content=body,
            headers=headers,
            timeout=self._seconds,
            follow_redirects=False,
        )
        try:
            async with asyncio.timeout(self._seconds), asking as answer:
                said = await bounded(answer.headers, answer.aiter_raw(), ANSWER_BYTES)
        except TimeoutError:
            raise SubmitUnreachable(
                f"the runner at {self._base_url} did not answer within {self._seconds:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, AnswerUnusable) as error:
            raise SubmitUnreachable(f"the runner at {self._base_url} does not answer: {error!r}") from error
        return _Answer(answer.status_code, said)


class _Slots:
    """A semaphore for `count` requests, with a queue of `count` more; beyond that it raises Busy."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._room = 2 * count

    async def __aenter__(self) -> None:
        if self._room == 0:
            raise Busy("runner-busy", "this runner's answers are still waited for; this comes again")
        self._room -= 1
        try:
            await self._free.acquire()
        except BaseException:
            self._room += 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
        self._room += 1


class PoolRunnerClient:
    """Chooses by pool: `push_pool` goes to the push runner, if one is configured; others are queued."""

    def __init__(self, queue: RunnerClient, push: RunnerClient | None, push_pool: str = "default") -> None:
        self._queue = queue
        self._push = push
        self._push_pool = push_pool

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """See the port."""
        return await self._client(pool).submit(submission, pool)

    async def cancel(self, task_id: TaskId, attempt: int, pool: str) -> None:
        """See the port."""
        await self._client(pool).cancel(task_id, attempt, pool)

    def _client(self, pool: str) -> RunnerClient:
        return self._push if self._push is not None and pool == self._push_pool else self._queue


def _who(body: bytes) -> tuple[RunnerId | None, str | None]:
    """The id and the instance of the accepting runner, if its answer names them."""
    try:
        accepted = parsed(Accepted, body)
    except ValidationError:
        return None, None
    return accepted.runner_id, accepted.instance


def _reason(body: bytes) -> str:
    try:
        said = read_json(body)
    except NotJson:
        said = None
    if isinstance(said, dict):
        for name in ("detail", "reason", "title", "message"):
            if isinstance(said.get(name), str):
                return _detail(said[name])
    return _detail(body[: 4 * DETAIL_CHARS].decode("utf-8", "replace"))


def _detail(text: str) -> str:
    return shortened(storable(text), DETAIL_CHARS)
