"""Request-reply over one connection, with one inbox for all replies.

nats-py's own request keeps its entry if the publish fails, which leaks memory while NATS is unreachable.
After a reconnect it waits for its whole timeout, although the reply went to the old connection. Here a
request fails within CHECK_SECONDS after its connection is lost, and one reply may consist of many messages.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client

from adapters.nats.client import listen
from adapters.nats.message import Arrived, Take

CHECK_SECONDS = 0.5
_NO_RESPONDERS = "503"

Reply = TypeVar("Reply")


class Replies:
    """Sends requests over `connection`; any number may be in flight."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection
        self._inbox = ""
        self._open: dict[str, _Question] = {}
        self._counter = 0
        self._opening = asyncio.Lock()
        self._checking = False

    async def ask(
        self, subject: str, body: bytes, timeout: float, headers: dict[str, str] | None = None
    ) -> Arrived:
        """The one reply to a request.

        Raises:
            nats.errors.Error: no responder, no reply within `timeout` seconds, or the connection was lost;
                the request may still have been carried out.
        """
        answer: asyncio.Future[Arrived] = asyncio.get_running_loop().create_future()

        def take(message: Arrived) -> None:
            if not answer.done():
                answer.set_result(message)

        message = await self.collect(subject, body, timeout, answer, take, headers)
        if not message.data and message.headers.get("Status") == _NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return message

    async def collect(
        self,
        subject: str,
        body: bytes,
        timeout: float,
        done: asyncio.Future[Reply],
        take: Take,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send a request; pass each message of the reply to `take` until `done` is set; return its result."""
        if not self._inbox:
            await self._subscribe()
        loop = asyncio.get_running_loop()
        self._counter += 1
        token = str(self._counter)
        self._open[token] = _Question(done, take, self._nc.stats["reconnects"], loop.time() + timeout)
        if not self._checking:
            self._checking = True
            loop.call_later(CHECK_SECONDS, self._check)
        try:
            await self._nc.publish(subject, body, reply=f"{self._inbox}.{token}", headers=headers)
            return await done
        finally:
            del self._open[token]

    def _check(self) -> None:
        """Fail requests that timed out or lost their connection; one timer serves all, to save cost."""
        loop = asyncio.get_running_loop()
        now, connections = loop.time(), self._nc.stats["reconnects"]
        lost = not self._nc.is_connected
        for question in self._open.values():
            if question.done.done():
                continue
            if lost or question.connections != connections:
                question.done.set_exception(nats.errors.StaleConnectionError())
            elif question.deadline <= now:
                question.done.set_exception(nats.errors.TimeoutError())
        self._checking = bool(self._open)
        if self._checking:
            loop.call_later(CHECK_SECONDS, self._check)

    async def _subscribe(self) -> None:
        async with self._opening:
            if not self._inbox:
                inbox = self._nc.new_inbox()
                await listen(self._nc, f"{inbox}.*", self._on_message)
                self._inbox = inbox

    def _on_message(self, message: Arrived) -> None:
        question = self._open.get(message.subject.rpartition(".")[2])
        if question is not None:
            question.take(message)


@dataclass(slots=True)
class _Question:
    done: asyncio.Future[Any]
    take: Take
    connections: int
    deadline: float


def replies_of(connection: Client) -> Replies:
    """The shared `Replies` of this connection; one inbox serves all its requests."""
    replies: Replies = vars(connection).setdefault("towpath_replies", None) or Replies(connection)
    vars(connection)["towpath_replies"] = replies
    return replies
