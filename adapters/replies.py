"""Requests over one connection, with all their replies under one inbox.

nats-py's own request keeps an entry for ever where the publish fails, which adds up while NATS is away, and
it waits out its whole timeout after a reconnect, though the reply went to the old connection. Here a request
that outlives its connection fails within CHECK_SECONDS, and one reply may be many messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

CHECK_SECONDS = 0.5
_NO_RESPONDERS = "503"

Reply = TypeVar("Reply")


class Replies:
    """Asks over `connection`; any number of requests may be in flight."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection
        self._inbox = ""
        self._takers: dict[str, Callable[[Msg], None]] = {}
        self._counter = 0
        self._opening = asyncio.Lock()

    async def ask(
        self, subject: str, body: bytes, timeout: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """The one reply to a request.

        Raises:
            nats.errors.Error: nobody listens, no reply within `timeout` seconds, or the connection was lost;
                what was asked for may have been done.
        """
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

        def take(message: Msg) -> None:
            if not answer.done():
                answer.set_result(message)

        message = await self.collect(subject, body, timeout, answer, take, headers)
        if not message.data and (message.headers or {}).get("Status") == _NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return message

    async def collect(
        self,
        subject: str,
        body: bytes,
        timeout: float,
        done: asyncio.Future[Reply],
        take: Callable[[Msg], None],
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Ask, give every message of the reply to `take` until that ends `done`, and return its result."""
        if not self._inbox:
            await self._open()
        loop = asyncio.get_running_loop()
        self._counter += 1
        token = str(self._counter)
        connections = self._nc.stats["reconnects"]
        deadline = loop.time() + timeout
        timer: asyncio.TimerHandle

        def check() -> None:
            nonlocal timer
            left = deadline - loop.time()
            if done.done():
                return
            if self._nc.stats["reconnects"] != connections or not self._nc.is_connected:
                done.set_exception(nats.errors.StaleConnectionError())
            elif left <= 0:
                done.set_exception(nats.errors.TimeoutError())
            else:
                timer = loop.call_later(min(CHECK_SECONDS, left), check)

        timer = loop.call_later(min(CHECK_SECONDS, timeout), check)
        self._takers[token] = take
        try:
            await self._nc.publish(subject, body, reply=f"{self._inbox}.{token}", headers=headers)
            return await done
        finally:
            timer.cancel()
            del self._takers[token]

    async def _open(self) -> None:
        async with self._opening:
            if not self._inbox:
                inbox = self._nc.new_inbox()
                await self._nc.subscribe(f"{inbox}.*", cb=self._on_message)
                self._inbox = inbox

    async def _on_message(self, message: Msg) -> None:
        taker = self._takers.get(message.subject.rpartition(".")[2])
        if taker is not None:
            taker(message)
