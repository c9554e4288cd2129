"""Follows the events of every held attempt, so that a cancel arrives after any outage.

One loop per attempt reads the task's last event from the leader whenever it may have changed (an event
received, a reconnect) and, while the gate waits, at growing intervals, since messages may be lost. At each
heartbeat one request asks which attempts have events that were not read. It only reads: no crash loses any.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from domain.backoff import Backoff
from domain.identifiers import RunnerId, TaskId
from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most
from runner.config import RunnerTiming
from runner.control.start_gate import Standing, judge_event
from runner.control.task_log import TaskLog
from runner.nats_link import NATS_TROUBLE
from runner.store.state import Attempt, Key, RunnerState

RETRY_SECONDS = 0.1
READ_AGAIN = Backoff(first_seconds=0.2, longest_seconds=2.0)
IDLE_SECONDS = 30.0
SETTLE_AT_ONCE = 100
FORGET_SECONDS = 24 * 3600.0

log = structlog.get_logger(__name__)


class _Watch:
    """State shared by one loop and the tasks that wait for it."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.seq: int | None = None
        self.permitted: asyncio.Future[int | None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def asked(self) -> bool:
        return self.permitted is not None and not self.permitted.done()


class Follower:
    """Calls `see(key, standing)` with every decisive standing."""

    def __init__(
        self,
        task_log: TaskLog,
        state: RunnerState,
        runner_id: RunnerId,
        see: Callable[[Key, Standing], None],
        report: Callable[[TaskId], None],
        timing: RunnerTiming,
    ) -> None:
        """`report(task_id)` is called when the outbox has a new report."""
        self._log = task_log
        self._state = state
        self._runner_id = runner_id
        self._see = see
        self._report = report
        self._timing = timing
        self._watches: dict[Key, _Watch] = {}
        self._marks: dict[Key, int] = {}
        self._checked = (0, 0)

    def follow(self, key: Key) -> None:
        watch = self._watches[key] = _Watch()
        watch.task = asyncio.create_task(self._run(key, watch), name=f"follow {key.file_stem}")

    async def unfollow(self, key: Key) -> None:
        watch = self._watches.pop(key, None)
        if watch is not None and watch.task is not None:
            await end_tasks([watch.task])

    def nudge(self) -> None:
        """Read all attempts again: the connection is back."""
        for watch in self._watches.values():
            watch.wake.set()

    async def check(self) -> None:
        """At a heartbeat: read those attempts again whose last event is another one than was read.

        One request asks for many of them. It goes two heartbeats back, since a read right after an event may
        be stale. What a replica that lags by more does not tell is read after IDLE_SECONDS.
        """
        if not self._watches:
            return
        tasks = list({key.task_id for key in self._watches})
        try:
            end = await self._log.end()
            newest = await self._log.newest(tasks, self._checked[0])
        except NATS_TROUBLE:
            self.nudge()
            return
        self._checked = min(self._checked[1], end), end
        for key, watch in self._watches.items():
            if watch.seq is None or newest.get(key.task_id, watch.seq) != watch.seq:
                watch.wake.set()

    async def seen_running(self, key: Key) -> int | None:
        """Wait until a read that starts from now on sees this runner's `running` as the last event.

        Returns its sequence in the log.
        """
        watch = self._watches[key]
        watch.permitted = asyncio.get_running_loop().create_future()
        watch.wake.set()
        return await watch.permitted

    async def settle(self) -> None:
        """Settle ended attempts whose end the log shows, or will never show.

        Raises StateTrouble.
        """
        for attempt in self._state.settleable(SETTLE_AT_ONCE):
            if await self.standing(attempt.key) is Standing.OVER or await self._given_up(attempt):
                self._state.settle(attempt.key)
                self._marks.pop(attempt.key, None)
            elif attempt.bare is not None and await self._had_no_effect(attempt):
                log.warning("an end had no effect, reporting it without its text", task=attempt.key.task_id)
                self._state.say_bare(attempt.key)
                self._marks.pop(attempt.key, None)
                self._report(attempt.key.task_id)

    async def _had_no_effect(self, attempt: Attempt) -> bool:
        """Whether a reported end has left the queue a while ago and still is not in the log."""
        if time.time() - attempt.changed_at <= self._timing.bare_seconds:
            return False
        try:
            return await self._left_the_queue(attempt.key)
        except NATS_TROUBLE:
            return False

    async def _left_the_queue(self, key: Key) -> bool:
        """Whether all reports waiting at the first call were processed. Raises NATS_TROUBLE."""
        first, last = await self._log.waiting_reports()
        mark = self._marks.setdefault(key, last)
        if last < mark:  # after a restore the queue is another one
            mark = self._marks[key] = last
        return first > mark

    async def _given_up(self, attempt: Attempt) -> bool:
        """Whether an end was reported over an hour ago and its report left the queue: it was not applied.

        The queue keeps reports while the control plane is down. An attempt settled too early would become
        `runner-lost`. If the queue cannot be read, a day suffices.
        """
        age = time.time() - attempt.changed_at
        if age <= self._timing.settle_seconds:
            return False
        try:
            return await self._left_the_queue(attempt.key)
        except NATS_TROUBLE as error:
            log.info("queue of reports not readable", task=attempt.key.task_id, error=str(error))
            return age > FORGET_SECONDS

    async def _run(self, key: Key, watch: _Watch) -> None:
        while True:
            try:
                async with self._log.watching(key.task_id, watch.wake.set):
                    await self._look(key, watch)
            except NATS_TROUBLE as error:
                log.info(
                    "cannot follow, trying again", task=key.task_id, attempt=key.attempt, error=str(error)
                )
                await asyncio.sleep(RETRY_SECONDS)

    async def _look(self, key: Key, watch: _Watch) -> None:
        pauses = READ_AGAIN.pauses()
        while True:
            watch.wake.clear()
            asked = watch.permitted if watch.asked else None
            standing, seq = await self._standing(key)
            watch.seq = seq
            if standing is Standing.RUNNING and asked is not None and not asked.done():
                asked.set_result(seq)
            elif standing in {Standing.CANCEL, Standing.OVER}:
                self._see(key, standing)
            if not watch.asked:
                pauses = READ_AGAIN.pauses()
            await wait_at_most(watch.wake, next(pauses) if watch.asked else IDLE_SECONDS)

    async def standing(self, key: Key) -> Standing:
        """The state of the attempt in the leader's log; WAIT if it cannot be read."""
        return (await self._standing(key))[0]

    async def canceled(self, key: Key) -> bool:
        """Whether the log asks to stop the attempt, as far as it can be read."""
        return await self.standing(key) is Standing.CANCEL

    async def _standing(self, key: Key) -> tuple[Standing, int | None]:
        """The same, and the sequence of the deciding event."""
        try:
            last = await self._log.last_event(key.task_id)
        except NATS_TROUBLE as error:
            log.info("log not readable", task=key.task_id, attempt=key.attempt, error=str(error))
            return Standing.WAIT, None
        return judge_event(
            last, key, self._runner_id, self._state.instance
        ), last.seq if last is not None else None
