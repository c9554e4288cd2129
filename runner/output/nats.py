"""Answers requests for ranges on `towpath.output.<runner_id>`.

A connection of its own, so that outputs hold up no heartbeat, and few answers at once, so that they take
little memory. Core NATS: a request that this runner does not answer is asked again.
"""

from __future__ import annotations

import asyncio

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
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            asked = parsed(RangeRequest, message.data)
        except ValidationError:
            log.warning("a request for output cannot be read")
            return
        try:
            await self._ranges.ready(asked)
            async with self._answering:
                most = max(1, (await self._link.client()).max_payload - HEADER_BYTES)
                found = await self._ranges.read(asked.model_copy(update={"limit": min(asked.limit, most)}))
                await self._send(message, found.data, found.headers())
        except OutputMissing as missing:
            if asked.instance not in (None, self._instance):
                # The one that has it answers first, at the latest when the wait is over.
                await asyncio.sleep(asked.wait + OTHER_INSTANCE_SECONDS)
            await self._refuse(message, GONE, str(missing))
        except StateTrouble as trouble:
            await self._refuse(message, BUSY, str(trouble))

    async def _refuse(self, message: Msg, problem: str, words: str) -> None:
        await self._send(message, words.encode(), {PROBLEM: problem})

    async def _send(self, message: Msg, data: bytes, headers: dict[str, str]) -> None:
        try:
            client = await self._link.client()
            await client.publish(message.reply, data, headers=headers)
            if len(data) > SMALL_BYTES:  # the next large one waits until the server has this one
                await client.flush(FLUSH_SECONDS)
        except NATS_TROUBLE as error:
            log.debug("a range of output was not answered", error=str(error))
