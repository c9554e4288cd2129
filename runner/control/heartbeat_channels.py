"""Heartbeat channels: JetStream, or `POST /runner/heartbeat` for runners without NATS.

Over NATS the runner reads the state of its attempts from the log; over HTTP the response contains it.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import httpx
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import BaseModel, ValidationError

from domain import subjects
from domain.identifiers import RunnerId
from domain.protocol import RUNNER_AUTH_HEADER, Heartbeat, Held
from domain.subjects import Stream
from domain.validation.bounded_response import PLAIN, AnswerUnusable, bounded
from domain.validation.json_reader import parsed
from runner.clock import boottime
from runner.control.follower import Follower
from runner.control.heartbeat import NotAcknowledged
from runner.nats_link import NATS_TROUBLE, NatsLink
from runner.outbox.transports import ANSWER_BYTES, problem_kind
from runner.store.state import Key

ADVICE = {
    401: "set API_RUNNER_CALLBACK_TOKEN to what it is on the control plane",
    409: "another runner says it is this one: give each a TOWPATH_RUNNER_ID and a state directory of its own",
    404: "TOWPATH_URL leads to no control plane that takes heartbeats",
}
WARN_SECONDS = 30.0

log = structlog.get_logger(__name__)


class NatsBeats:
    """Sends heartbeats to `towpath.runner.<runner_id>`; the follower then looks for events that it missed.

    It also subscribes there: heartbeats of another runner with the same id cannot be rejected.
    """

    def __init__(self, link: NatsLink, follower: Follower, runner_id: RunnerId, instance: str) -> None:
        self._link = link
        self._follower = follower
        self._subject = subjects.runner(runner_id)
        self._instance = instance
        self._heard_on: Client | None = None
        self._warned_at = -math.inf

    async def ready(self) -> None:
        client = await self._link.client()
        if self._heard_on is not client:
            with suppress(*NATS_TROUBLE):
                await client.subscribe(self._subject, cb=self._heard)
                self._heard_on = client

    async def _heard(self, message: Msg) -> None:
        """Warn that another runner uses this id, every WARN_SECONDS while it does."""
        try:
            other = parsed(Heartbeat, message.data)
        except ValidationError:
            return
        if other.instance != self._instance and boottime() > self._warned_at + WARN_SECONDS:
            self._warned_at = boottime()
            log.error(
                f"conflict: {ADVICE[409]}",
                runner_id=other.runner_id, instance=other.instance, host=other.host,
            )  # fmt: skip

    async def send(self, beat: Heartbeat, seconds: float) -> None:
        try:
            js = await self._link.jetstream()
            await js.publish(
                self._subject, beat.model_dump_json().encode(), stream=Stream.RUNNER, timeout=seconds
            )
        except NATS_TROUBLE as error:
            raise NotAcknowledged(f"{type(error).__name__} {error}".strip()) from None

    async def after(self, acknowledged: bool) -> None:
        await self._follower.check()
        if acknowledged:
            await self._follower.settle()


class WantedState(Held):
    """Whether the control plane still wants one listed attempt."""

    wanted: Literal["run", "stop"]


class BeatAnswer(BaseModel):
    """The response to a heartbeat."""

    wanted: list[WantedState] = []


class HttpBeats:
    """Sends heartbeats to the control plane's API; calls `stop` with every attempt that must end."""

    def __init__(self, api_url: str, token: str | None, stop: Callable[[Key], None]) -> None:
        self._url = f"{api_url.rstrip('/')}/runner/heartbeat"
        self._headers = {"content-type": "application/json", **PLAIN}
        if token is not None:
            self._headers[RUNNER_AUTH_HEADER] = token
        self._stop = stop
        self._wanted: dict[Key, bool] = {}
        self._answered = asyncio.Event()
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, verify=ssl.create_default_context()
        )

    async def ready(self) -> None:
        """Nothing to wait for: each heartbeat connects by itself."""

    async def send(self, beat: Heartbeat, seconds: float) -> None:
        try:
            status, body = await self._post(beat.model_dump_json(), seconds)
        except (httpx.HTTPError, OSError, AnswerUnusable) as error:
            raise NotAcknowledged(f"{type(error).__name__} {error}".strip()) from None
        if status != 200:
            said = f"HTTP {status} {problem_kind(body)}".strip()
            raise NotAcknowledged(f"{said}: {ADVICE.get(status, 'trying again')}")
        try:
            wanted = parsed(BeatAnswer, body).wanted
        except ValidationError:
            raise NotAcknowledged("the answer is not one to a heartbeat: look at TOWPATH_URL") from None
        self._wanted = {Key(one.task_id, one.attempt): one.wanted == "run" for one in wanted}
        self._answered.set()
        for key, run in self._wanted.items():
            if not run:
                self._stop(key)

    async def canceled(self, key: Key) -> bool:
        """Whether the control plane wants a held attempt stopped; waits for a response that lists it."""
        while key not in self._wanted:
            self._answered.clear()
            await self._answered.wait()
        return not self._wanted[key]

    async def after(self, acknowledged: bool) -> None:
        """Nothing to do: the response contained everything."""

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, body: str, seconds: float) -> tuple[int, bytes]:
        """Status and body; `seconds` is the timeout for both."""
        asking = self._client.stream("POST", self._url, content=body, headers=self._headers, timeout=seconds)
        async with asyncio.timeout(seconds), asking as answer:
            return answer.status_code, await bounded(answer.headers, answer.aiter_raw(), ANSWER_BYTES)
