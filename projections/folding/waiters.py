"""Waiters: requests that wait for a claim or a sequence, woken only by the events that concern them.

Hundreds of requests may wait at once; waking all of them at every batch cost more than folding the batch.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from domain.identifiers import LogSeq
from domain.locks.claims import Key
from domain.log.record import Recorded


class Waiters:
    """The waiters of one fold; the caller's timeout in seconds bounds every wait."""

    def __init__(self) -> None:
        self._claims: dict[Key, set[asyncio.Event]] = {}
        self._seqs: list[tuple[int, int, asyncio.Event]] = []
        self._numbers = itertools.count()

    async def until(self, key: Key, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until `condition` holds; checked after each event about `key`, and at the timeout."""
        if condition():
            return True
        with self.listening(key) as woken:
            try:
                async with asyncio.timeout(timeout):
                    while not condition():
                        woken.clear()
                        await woken.wait()
            except TimeoutError:
                return condition()
        return True

    @contextmanager
    def listening(self, key: Key) -> Iterator[asyncio.Event]:
        """Until the context ends, sets the event whenever one about `key` is folded."""
        heard = asyncio.Event()
        self._claims.setdefault(key, set()).add(heard)
        try:
            yield heard
        finally:
            waiting = self._claims[key]
            waiting.discard(heard)
            if not waiting:
                del self._claims[key]

    async def reached(self, seq: LogSeq, timeout: float) -> bool:
        """Wait until the fold has reached `seq`; False after `timeout`."""
        woken = asyncio.Event()
        heapq.heappush(self._seqs, (seq, next(self._numbers), woken))
        try:
            async with asyncio.timeout(timeout):
                await woken.wait()
        except TimeoutError:
            return woken.is_set()
        return True

    def folded(self, event: Recorded) -> None:
        """Wake the requests that wait for the claim of `event`."""
        if not self._claims:
            return
        task_id, attempt = event.task_id, event.attempt
        for woken in self._claims.get((task_id, attempt), ()) if task_id and attempt else ():
            woken.set()

    def moved(self, seq: LogSeq) -> None:
        """Wake the requests that wait for `seq` or an earlier sequence."""
        while self._seqs and self._seqs[0][0] <= seq:
            heapq.heappop(self._seqs)[2].set()
