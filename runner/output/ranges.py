"""Reads ranges of outputs, also of those that still grow.

Whether an attempt is over is looked up before the size of its file: what is over does not grow.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from domain.runners.output_range import OutputRange, RangeRequest
from runner.output.files import OutputFiles
from runner.output.growth import Growth
from runner.store.state import Key, RunnerState


class OutputMissing(Exception):
    """There is no output of the attempt, and none will come. The message says why, as far as it is known."""


class OutputRanges:
    """Ranges of one runner's outputs."""

    def __init__(self, state: RunnerState, growth: Growth | None = None) -> None:
        self.files = OutputFiles(state.outputs)
        self._state = state
        self._growth = growth or Growth(state.outputs)

    def over(self, key: Key) -> None:
        """The attempt has ended, and its end is stored: its output is complete."""
        self._growth.changed(self.files.path(key).name)

    async def ready(self, asked: RangeRequest) -> None:
        """Wait until there is a byte behind the offset, the output is complete, or the wait is over.

        Raises:
            OutputMissing: the attempt is unknown, has written nothing that was kept, or it was deleted.
            StateTrouble: the runner's state cannot be read.
        """
        key = Key(asked.task_id, asked.attempt)
        if self._is_ready(key, asked.offset):
            return
        with self._growth.watching(self.files.path(key).name) as changed, suppress(TimeoutError):
            async with asyncio.timeout(asked.wait):
                while not self._is_ready(key, asked.offset):
                    await changed.wait()
                    changed.clear()

    async def read(self, asked: RangeRequest) -> OutputRange:
        """What is there now. Raises as `ready`."""
        key = Key(asked.task_id, asked.attempt)
        found = self._look(key, asked.offset)
        if found.size <= found.offset:
            return found
        length = min(asked.limit, found.size - found.offset)
        try:
            data = await asyncio.to_thread(self.files.read, key, found.offset, length)
        except FileNotFoundError:
            raise _deleted() from None
        return replace(found, data=data)

    async def read_into(self, asked: RangeRequest, room: memoryview) -> tuple[OutputRange, memoryview]:
        """As `read`: the range without its bytes, and these, in `room`, which has place for `limit`.

        A thread costs more than to copy what needs no disk: it is read here.
        """
        key = Key(asked.task_id, asked.attempt)
        found = self._look(key, asked.offset)
        space = room[: max(0, min(asked.limit, found.size - found.offset))]
        if not space:
            return found, space
        try:
            try:
                size = self.files.read_into(key, found.offset, space, at_once=True)
            except FileNotFoundError:
                raise
            except OSError:
                size = 0
            if size < len(space):
                size = await asyncio.to_thread(self.files.read_into, key, found.offset, space)
        except FileNotFoundError:
            raise _deleted() from None
        return found, space[:size]

    def _is_ready(self, key: Key, offset: int) -> bool:
        found = self._look(key, offset)
        return found.complete or found.size > found.offset

    def _look(self, key: Key, offset: int) -> OutputRange:
        is_open = self._state.is_open(key)
        size = self.files.size(key)
        if size is None and not is_open:
            raise OutputMissing(
                "this runner has no output of the attempt: it was deleted, or never was there"
            )
        size = size or 0
        begin = offset if offset >= 0 else max(0, size + offset)
        cut = 0 if is_open else self.files.cut(key)
        return OutputRange(b"", begin, size, complete=not is_open, cut=cut)


def _deleted() -> OutputMissing:
    return OutputMissing("the output was just deleted: it was old, or there was too much")
