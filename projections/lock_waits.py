"""Process manager `lock waits`: ends attempts that waited for a lock longer than they may.

Delivery: dispatch arms the deadline when it handles `dispatched`, before it acknowledges that event, so a
crash in between arms it again. A deadline may come due more than once; an attempt that is further on is left
unchanged. The handler reads from the log whether the lock was granted. A grant is not a task event, so the
compare-and-set of `canceled` cannot detect a concurrent one. Such a grant is void: it starts no process, and
its release is appended first.
"""

from __future__ import annotations

from domain.errors import Busy
from domain.identifiers import LogSeq, TaskId, WorkspaceId
from domain.log.filter import EventFilter
from domain.log.payloads import LockPayload
from domain.log.record import Recorded
from domain.ports.log import LogReader
from domain.ports.queues import Deadline, Due
from domain.services.task_findings import TaskFindings
from domain.task.transitions import Status

KIND = "lock-wait"
ACTOR = "lock-wait"
PAGE = 500


def deadline(task_id: TaskId, attempt: int) -> Deadline:
    """The deadline of an attempt's wait for its lock."""
    return Deadline(KIND, task_id, attempt)


class LockWaits:
    """Handler of deadlines of kind `lock-wait`."""

    def __init__(self, tasks: TaskFindings, reader: LogReader) -> None:
        self._tasks = tasks
        self._reader = reader

    async def handle(self, came: Due) -> None:
        """Record `canceled`, reason `lock-wait-timeout`, if the attempt still waits.

        Raises:
            Busy: the log could not be read up to the leader's last event; it is redelivered.
        """
        due = came.deadline
        stored = await self._tasks.read(due.task_id, attempt=due.attempt)
        dispatched = stored.task.dispatched
        if not stored.task.is_open(due.attempt, Status.DISPATCHED) or dispatched is None:
            return
        if dispatched.workspace is None or dispatched.lock_wait_seconds is None:
            return
        if await self._granted(dispatched.workspace, due, stored.seq):
            return
        message = (
            f"its lock in workspace {dispatched.workspace} was not granted within "
            f"{dispatched.lock_wait_seconds:g} s; `towpath locks {dispatched.workspace}` shows who holds what"
        )
        await self._tasks.lock_wait_over(due.task_id, due.attempt, message, ACTOR)

    async def _granted(self, workspace: WorkspaceId, due: Deadline, dispatched_seq: LogSeq) -> bool:
        """Whether the log holds a grant of this attempt after `dispatched`; a linearizable read."""
        facts = EventFilter("lock", workspace)
        last = await self._reader.last_seq_of(facts)
        position = dispatched_seq
        while position < last:
            page = await self._reader.page(position, PAGE, facts)
            if any(_grants(fact, due) for fact in page):
                return True
            if not page:
                raise Busy("log-behind", "the log was read from a replica that lags; try again in a moment")
            position = page[-1].seq
        return False


def _grants(fact: Recorded, due: Deadline) -> bool:
    data: LockPayload = fact.data
    return fact.event == "granted" and (data["task_id"], data["attempt"]) == (due.task_id, due.attempt)
