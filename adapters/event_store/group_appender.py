"""Group commit: coalesces concurrent appends into atomic batches.

If each acknowledgement costs an fsync, a batch pays off from 16 waiting appends on. Without fsync, a batch of
a hundred still saves most of the replies, and a small one costs the server more than it saves. All appends
requested in one turn of the event loop are grouped together. A batch never holds two appends with the same
filter, since the compare-and-set does not see earlier messages of its own batch. One refused append refuses
the whole batch; its appends are then sent one by one. An unknown outcome is read back. A single append is
sent by its own caller, and is given up if that caller is canceled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.client import Client

from adapters.event_store.appender import SingleAppender
from adapters.event_store.codec import Message
from domain.identifiers import LogSeq

GROUP_AT_MOST = 200
BATCHES_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class Grouping:
    """The number of waiting appends from which a batch is made, and of concurrent single ones below that."""

    from_waiting: int
    singles_in_flight: int


WHERE_SYNCED = Grouping(from_waiting=16, singles_in_flight=12)
WHERE_NOT_SYNCED = Grouping(from_waiting=100, singles_in_flight=1000)


@dataclass(slots=True)
class _Waiting:
    """A waiting append. `done` gets its sequence, or None if it goes `alone`: its caller then sends it."""

    message: Message
    done: asyncio.Future[LogSeq | None]
    alone: bool = False


class GroupAppender:
    """Appends like SingleAppender, in batches while many wait."""

    def __init__(
        self,
        connection: Client,
        single: SingleAppender,
        new_id: Callable[[], str],
        grouping: Grouping = WHERE_SYNCED,
    ) -> None:
        self._grouping = grouping
        self._nc = connection
        self._single = single
        self._new_id = new_id
        self._queue: deque[_Waiting] = deque()
        self._singles = 0
        self._batches = 0
        self._pump_soon = False
        self._sending: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()

    async def append(self, message: Message) -> LogSeq:
        """Append `message`; return its stream sequence. Errors as SingleAppender.append."""
        self._single.check_size(message)
        waiting = _Waiting(message, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if not self._pump_soon:
            self._pump_soon = True
            asyncio.get_running_loop().call_soon(self._pump)
        try:
            seq = await waiting.done  # a canceled caller cancels it, and an unsent append is dropped
            return seq if seq is not None else await self._single.append(message)
        finally:
            if waiting.alone:
                self._singles -= 1
                self._pump()

    async def close(self) -> None:
        """Wait until every append is answered or given up."""
        while self._queue or self._batches or self._singles:
            self._settled.clear()
            await self._settled.wait()

    def _pump(self) -> None:
        self._pump_soon = False
        group_from = self._grouping.from_waiting
        while self._queue:
            # its caller was canceled before anything was sent
            if self._queue[0].done.done():
                self._queue.popleft()
            elif len(self._queue) >= group_from and self._batches < BATCHES_IN_FLIGHT:
                self._batches += 1
                batch = asyncio.get_running_loop().create_task(self._send_batch(self._take_distinct()))
                self._sending.add(batch)
                batch.add_done_callback(self._sending.discard)
            elif self._singles < self._grouping.singles_in_flight and len(self._queue) < group_from:
                self._singles += 1
                waiting = self._queue.popleft()
                waiting.alone = True
                # the caller itself sends it, so that canceling the caller still gives it up
                waiting.done.set_result(None)
            else:
                break
        self._settled.set()

    def _take_distinct(self) -> list[_Waiting]:
        taken: dict[str, _Waiting] = {}
        later: list[_Waiting] = []
        while self._queue and len(taken) < GROUP_AT_MOST:
            waiting = self._queue.popleft()
            if waiting.done.done():
                continue
            if waiting.message.filter in taken:
                later.append(waiting)
            else:
                taken[waiting.message.filter] = waiting
        # back to the front in their order, so that no later append overtakes them
        self._queue.extendleft(reversed(later))
        return list(taken.values())

    async def _send_batch(self, group: list[_Waiting]) -> None:
        single = self._single
        try:
            last_seq = None
            if len(group) > 1:
                last_seq = await self._publish_batch([waiting.message for waiting in group])
            if last_seq is None:
                await asyncio.gather(*(_resolve(one, single.append(one.message)) for one in group))
                return
            # a batch has contiguous sequences, and its answer names the last one
            for behind, waiting in enumerate(reversed(group)):
                if not waiting.done.done():
                    waiting.done.set_result(LogSeq(last_seq - behind))
        except Exception:  # after any error the outcome is unknown, and no caller may wait forever
            await asyncio.gather(*(_resolve(one, single.settle(one.message)) for one in group))
        finally:
            self._batches -= 1
            self._pump()

    async def _publish_batch(self, messages: list[Message]) -> int | None:
        """The sequence of the last message, or None if the batch was refused and none of it is stored."""
        batch_id = self._new_id()
        for number, message in enumerate(messages, start=1):
            headers = message.publish_headers
            headers["Nats-Batch-Id"] = batch_id
            headers["Nats-Batch-Sequence"] = str(number)
            if number < len(messages):
                await self._nc.publish(message.append_subject, message.data, headers=headers)
                continue
            # only the message that commits is answered, for all of them
            headers["Nats-Batch-Commit"] = "1"
            answer = await self._single.replies.ask(
                message.append_subject, message.data, self._single.request_seconds, headers
            )
        acknowledged: dict[str, Any] = orjson.loads(answer.data)
        if "error" in acknowledged or acknowledged.get("count") != len(messages):
            return None
        return int(acknowledged["seq"])


async def _resolve(waiting: _Waiting, appending: Awaitable[LogSeq]) -> None:
    try:
        seq = await appending
    except Exception as error:
        with contextlib.suppress(asyncio.InvalidStateError):
            waiting.done.set_exception(error)
    else:
        with contextlib.suppress(asyncio.InvalidStateError):
            waiting.done.set_result(seq)
