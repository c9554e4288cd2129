"""Answers requests for ranges on `towpath.output.<runner_id>`.

A connection of its own, so that outputs hold up no heartbeat, and few answers at once, so that they take
little memory. A range is read into a room that is used again once the server has it, so nothing is
copied here with a client that sends a large payload as it is. Core NATS: a request that this runner does not
answer is asked again.
"""

from __future__ import annotations

import asyncio
from typing import cast

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from domain import subjects
from domain.lifecycle.asyncio_tasks import end_tasks
from domain.runners.output_range import BUSY, GONE, PROBLEM, RangeRequest
from domain.validation.json_reader import parsed
from runner.errors import StateTrouble
from runner.nats_link import NATS_TROUBLE, NatsLink
from runner.output.ranges import OutputMissing, OutputRanges

MOST_WAITING = 1000
AT_ONCE = 4
HEADER_BYTES = 4096
FLUSH_SECONDS = 5
SMALL_BYTES = 16 * 1024
OTHER_INSTANCE_SECONDS = 0.5

log = structlog.get_logger(__name__)


class NatsOutput:
    """A service. `link` is for outputs alone."""

    def __init__(self, link: NatsLink, ranges: OutputRanges, runner_id: str, instance: str) -> None:
        self._link = link
        self._ranges = ranges
        self._subject = subjects.output(runner_id)
        self._instance = instance
        self._answering = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._rooms: list[bytearray] = []
        """Not in use; kept while requests are being answered."""
        self._connected = asyncio.Event()
        link.on_connected(self._connected.set)

    async def run(self) -> None:
        """Listen until canceled, also on later connections."""
        heard: Client | None = None
        try:
            while True:
                client = await self._link.client()
                self._connected.clear()
                if client is not heard:
                    try:
                        await client.subscribe(self._subject, cb=self._asked)
                        heard = client
                    except NATS_TROUBLE as error:
                        log.warning("cannot take requests for outputs yet", error=str(error))
                await self._connected.wait()
        finally:
            await end_tasks(self._tasks)

    async def _asked(self, message: Msg) -> None:
        if len(self._tasks) >= MOST_WAITING:
            await self._refuse(message, BUSY, "this runner answers too many requests for output")
            return
        task = asyncio.create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._rooms.clear()

    async def _answer(self, message: Msg) -> None:
        try:
            asked = parsed(RangeRequest, message.data)
        except ValidationError:
            log.warning("a request for output cannot be read")
            return
        try:
            await self._ranges.ready(asked)
            async with self._answering:
                await self._answer_with(message, asked)
        except OutputMissing as missing:
            if asked.instance not in (None, self._instance):
                # The one that has it answers first, at the latest when the wait is over.
                await asyncio.sleep(asked.wait + OTHER_INSTANCE_SECONDS)
            await self._refuse(message, GONE, str(missing))
        except StateTrouble as trouble:
            await self._refuse(message, BUSY, str(trouble))

    async def _answer_with(self, message: Msg, asked: RangeRequest) -> None:
        most = max(1, (await self._link.client()).max_payload - HEADER_BYTES)
        asked = asked.model_copy(update={"limit": min(asked.limit, most)})
        room = self._room(asked.limit)
        found, data = await self._ranges.read_into(asked, memoryview(room))
        if len(data) <= SMALL_BYTES:
            await self._send(message, bytes(data), found.headers())
        elif not await self._send(message, data, found.headers()):
            return  # it may still be sent from this room
        if len(room) > SMALL_BYTES:
            self._rooms.append(room)

    def _room(self, size: int) -> bytearray:
        """Place for so many bytes; the caller gives it back."""
        if size > SMALL_BYTES and self._rooms:
            room = self._rooms.pop()
            if len(room) >= size:
                return room
        return bytearray(size)

    async def _refuse(self, message: Msg, problem: str, words: str) -> None:
        await self._send(message, words.encode(), {PROBLEM: problem})

    async def _send(self, message: Msg, data: bytes | memoryview, headers: dict[str, str]) -> bool:
        """Whether the server has it, or will: a large one waits for that, and so does the next one."""
        try:
            client = await self._link.client()
            await client.publish(message.reply, cast(bytes, data), headers=headers)
            if len(data) > SMALL_BYTES:
                await client.flush(FLUSH_SECONDS)
        except NATS_TROUBLE as error:
            log.debug("a range of output was not answered", error=str(error))
            return False
        return True
