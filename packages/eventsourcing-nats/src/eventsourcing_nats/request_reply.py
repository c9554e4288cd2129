"""Requests over one connection, with all replies below one inbox.

The client's own `request` takes one message per reply, and waits out its timeout after the connection is
lost. Here a reply may be many messages, and a request fails as soon as its connection is lost.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

RETRY_SECONDS = 0.05
_NO_RESPONDERS = "503"
T = TypeVar("T")


class Unanswered(Exception):
    """NATS gave no usable answer. What was asked for may have been done; the request can be repeated."""


class RequestReply:
    """Requests over `client`; any number may be in flight. Each waits at most `answer_seconds`.

    `last_failure` tells the caller that waited in vain why that was.
    """

    def __init__(self, client: Client, answer_seconds: float) -> None:
        self.client = client
        self.last_failure = ""
        self._answer_seconds = answer_seconds
        self._inbox = client.new_inbox()
        self._open: dict[str, _Question] = {}
        self._tokens = itertools.count()

    async def use(self, client: Client) -> None:
        """Ask over `client` from now on, which is connected; after a reconnect it subscribes again."""
        self.client = client
        await client.subscribe(
            f"{self._inbox}.*", cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def connection_lost(self) -> None:
        """Fail all requests in flight: their replies would go to the old connection."""
        for question in self._open.values():
            question.fail(Unanswered("the connection was lost"))

    async def ask(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> Msg:
        """The one reply to a request. Raises Unanswered."""
        (message,) = await self.collect(subject, body, 1, headers)
        if not message.data and status_of(message) == _NO_RESPONDERS:
            raise Unanswered(f"nothing answers on {subject}; is JetStream enabled?")
        return message

    async def collect(
        self, subject: str, body: bytes, count: int, headers: dict[str, str] | None = None
    ) -> list[Msg]:
        """The first `count` messages of a reply; fewer where one with a status ends it, which is the last.

        Raises Unanswered.
        """
        token = str(next(self._tokens))
        self._open[token] = question = _Question(count)
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self.client.publish(subject, body, reply=f"{self._inbox}.{token}", headers=headers)
                return await question.done
        except (nats.errors.Error, TimeoutError) as error:
            raise Unanswered(f"{subject}: {str(error) or 'no reply in time'}") from error
        finally:
            del self._open[token]

    async def api(self, verb: str, body: object = None) -> dict[str, Any]:
        """The answer of `$JS.API.<verb>`, errors included. Raises Unanswered."""
        payload = b"" if body is None else json.dumps(body).encode()
        return answer_of(await self.ask(f"$JS.API.{verb}", payload))

    async def until_answered(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, repeated while it raises Unanswered. The caller's deadline bounds it."""
        while True:
            try:
                return await work()
            except Unanswered as error:
                self.last_failure = str(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _on_message(self, message: Msg) -> None:
        question = self._open.get(message.subject.rpartition(".")[2])
        if question is not None:
            question.take(message)


class _Question:
    """A request in flight: the messages so far, and a future for all of them."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._messages: list[Msg] = []
        self.done: asyncio.Future[list[Msg]] = asyncio.get_running_loop().create_future()

    def take(self, message: Msg) -> None:
        if self.done.done():
            return
        self._messages.append(message)
        self._missing -= 1
        if not self._missing or status_of(message):
            self.done.set_result(self._messages)

    def fail(self, error: Unanswered) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def status_of(message: Msg) -> str:
    """The status line's number, "" for a message without one."""
    return (message.headers or {}).get("Status", "")


def answer_of(message: Msg) -> dict[str, Any]:
    """A reply's JSON object. Raises Unanswered where it is none."""
    try:
        answer: dict[str, Any] = json.loads(message.data)
    except ValueError as error:
        raise Unanswered(f"an answer is no JSON: {error}") from error
    return answer
