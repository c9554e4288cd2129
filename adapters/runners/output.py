"""Reads outputs from the runners that keep them: a request over core NATS, or HTTP for a push runner.

Nothing is kept here. A runner that dies while it answers leaves a request without an answer, which fails
MARGIN_SECONDS after the wait that was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import nats.errors
from nats.aio.client import Client

from adapters.nats.request_reply import replies_of
from domain import subjects
from domain.ports.outputs import OutputNotThere, OutputPlace, Outputs, RunnerAway
from domain.protocol import RUNNER_AUTH_HEADER
from domain.runners.output_range import GONE, MAX_RANGE_BYTES, PROBLEM, OutputRange, RangeRequest
from domain.validation.bounded_response import PLAIN, AnswerUnusable, bounded

MARGIN_SECONDS = 3.0
PUSH_AT_ONCE = 32
"""A runner's HTTP intake has 64 connections; submissions need some."""


class NatsOutputs:
    """Port `Outputs` on `towpath.output.<runner_id>`. `connection` is for outputs alone: ranges are large."""

    def __init__(self, connection: Client, *, margin_seconds: float = MARGIN_SECONDS) -> None:
        self._replies = replies_of(connection)
        self._margin_seconds = margin_seconds

    async def read(self, place: OutputPlace, asked: RangeRequest) -> OutputRange:
        """See the port."""
        if place.runner_id is None:
            raise RunnerAway("its runner has not said its id, so it cannot be asked")
        subject, body = subjects.output(place.runner_id), asked.model_dump_json().encode()
        try:
            answer = await self._replies.ask(subject, body, asked.wait + self._margin_seconds)
        except nats.errors.NoRespondersError:
            raise RunnerAway(f"runner {place.runner_id} is not connected") from None
        except (nats.errors.Error, OSError) as error:
            raise RunnerAway(f"runner {place.runner_id} does not answer ({type(error).__name__})") from None
        problem = answer.headers.get(PROBLEM)
        if problem == GONE:
            raise OutputNotThere
        if problem is not None:
            words = answer.data[:500].decode("utf-8", "replace")
            raise RunnerAway(f"runner {place.runner_id} cannot answer now: {words}")
        return _parsed(answer.headers, answer.data)


class PushOutputs:
    """Port `Outputs` for the push runner, on `GET <runner>/tasks/{id}/output`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        token: str | None,
        *,
        margin_seconds: float = MARGIN_SECONDS,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {**PLAIN, **({RUNNER_AUTH_HEADER: token} if token else {})}
        self._margin_seconds = margin_seconds
        self._free = asyncio.Semaphore(PUSH_AT_ONCE)

    async def read(self, place: OutputPlace, asked: RangeRequest) -> OutputRange:
        """See the port. Where many ask at once, each waits less, so that all have their turn."""
        wait = min(asked.wait, 1.0) if self._free.locked() else asked.wait
        async with self._free:
            return await self._read(asked.model_copy(update={"wait": wait}))

    async def _read(self, asked: RangeRequest) -> OutputRange:
        names = ("attempt", "offset", "limit", "wait")
        seconds = asked.wait + self._margin_seconds
        asking = self._http.stream(
            "GET",
            f"{self._base_url}/tasks/{asked.task_id}/output",
            params={name: getattr(asked, name) for name in names},
            headers=self._headers,
            timeout=seconds,
            follow_redirects=False,
        )
        try:
            async with asyncio.timeout(seconds), asking as answer:
                data = await bounded(answer.headers, answer.aiter_raw(), MAX_RANGE_BYTES)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, AnswerUnusable) as error:
            raise RunnerAway(
                f"the runner at {self._base_url} does not answer ({type(error).__name__})"
            ) from None
        if answer.status_code == 404:
            raise OutputNotThere(never=GONE.encode() not in data)
        if answer.status_code != 200:
            raise RunnerAway(f"the runner at {self._base_url} answered {answer.status_code}")
        return _parsed(answer.headers, data)


class PoolOutputs:
    """Asks where the attempt was sent: pool `default` the push runner, where there is one."""

    def __init__(self, queue: Outputs, push: Outputs | None, push_pool: str = "default") -> None:
        self._queue = queue
        self._push = push
        self._push_pool = push_pool

    async def read(self, place: OutputPlace, asked: RangeRequest) -> OutputRange:
        """See the port."""
        pushed = self._push is not None and place.pool == self._push_pool
        return await (self._push if self._push is not None and pushed else self._queue).read(place, asked)


def _parsed(headers: Mapping[str, str], data: bytes) -> OutputRange:
    try:
        return OutputRange.parse(headers, data)
    except ValueError as error:
        raise RunnerAway(f"its runner's answer cannot be read: {error}") from None
