"""The two ways of heartbeats: JetStream, and `POST /runner/heartbeat` for runners without NATS.

Over NATS the runner looks into the log itself for what became of its attempts; over HTTP the answer says it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Literal

import httpx
from pydantic import BaseModel, ValidationError

from domain.answers import PLAIN, AnswerUnusable, bounded
from domain.json_reader import parsed
from domain.wire import RUNNER_AUTH_HEADER, Heartbeat, Held
from runner.follower import Follower
from runner.heartbeat import NotAcknowledged
from runner.nats_link import NATS_TROUBLE, NatsLink
from runner.state import Key
from runner.transports import ANSWER_BYTES, problem_kind

ADVICE = {
    401: "set API_RUNNER_CALLBACK_TOKEN to what it is on the control plane",
    409: "another runner says it is this one: give each a TOWPATH_RUNNER_ID and a state directory of its own",
    404: "TOWPATH_URL leads to no control plane that takes heartbeats",
}


class NatsBeats:
    """Beats on `towpath.runner.<runner_id>`; afterwards the follower reads what is held from the leader."""

    def __init__(self, link: NatsLink, follower: Follower) -> None:
        self._link = link
        self._follower = follower

    async def ready(self) -> None:
        await self._link.client()

    async def send(self, beat: Heartbeat, seconds: float) -> None:
        subject = f"towpath.runner.{beat.runner_id}"
        try:
            js = await self._link.jetstream()
            await js.publish(
                subject, beat.model_dump_json().encode(), stream="TOWPATH_RUNNER", timeout=seconds
            )
        except NATS_TROUBLE as error:
            raise NotAcknowledged(f"{type(error).__name__} {error}".strip()) from None

    async def after(self, acknowledged: bool) -> None:
        self._follower.nudge()
        if acknowledged:
            await self._follower.settle()


class Wanted(Held):
    """What the control plane wants of one attempt that the runner listed."""

    wanted: Literal["run", "stop"]


class BeatAnswer(BaseModel):
    """The answer to a heartbeat."""

    wanted: list[Wanted] = []


class HttpBeats:
    """Beats to the control plane's API; `stop` is called with every attempt that is to end."""

    def __init__(self, api_url: str, token: str | None, stop: Callable[[Key], None]) -> None:
        self._url = f"{api_url.rstrip('/')}/runner/heartbeat"
        self._headers = {"content-type": "application/json", **PLAIN}
        if token is not None:
            self._headers[RUNNER_AUTH_HEADER] = token
        self._stop = stop
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, verify=ssl.create_default_context()
        )

    async def ready(self) -> None:
        """Each heartbeat makes its own way."""

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
        for one in wanted:
            if one.wanted == "stop":
                self._stop(Key(one.task_id, one.attempt))

    async def after(self, acknowledged: bool) -> None:
        """The answer has said it all."""

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, body: str, seconds: float) -> tuple[int, bytes]:
        """Status and body, within `seconds` as a whole."""
        asking = self._client.stream("POST", self._url, content=body, headers=self._headers, timeout=seconds)
        async with asyncio.timeout(seconds), asking as answer:
            return answer.status_code, await bounded(answer.headers, answer.aiter_raw(), ANSWER_BYTES)
