"""The read model in SQL: tasks and grants as of a position in the log.

A batch and its position are written in one transaction, so a crash leaves both or neither, and applying a
batch again is idempotent. Any number of processes may apply the same log to one database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import RowMapping, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.read_model.database import TASKS_POSITION, clear_tables
from adapters.read_model.errors import translated
from adapters.read_model.event_index import as_seqs, seqs_of
from adapters.read_model.past import as_claim, claims_of, created_upto
from adapters.read_model.queries import (
    as_task,
    chars_of,
    failures_since,
    lock_facts,
    newest_failures,
    unconfirmed_cancels,
)
from adapters.read_model.tables import positions, status_counts, tasks
from adapters.read_model.task_search import COUNT_EXAMINED, EXAMINED, TaskSearch, cursor_at, search_of
from adapters.read_model.writing.writer import batch_writer
from domain.identifiers import LogSeq, RunnerId, TaskId, WorkspaceId
from domain.log.position import Position
from domain.log.record import Recorded
from domain.ports.read_model import (
    EventSeqs,
    Failures,
    OpenQuestions,
    PastClaim,
    TaskCounts,
    TaskFilter,
    TaskState,
    UnconfirmedCancel,
)
from domain.protocol import rfc3339
from domain.task.transitions import Status
from domain.task.view import TaskRead

PAGE_CHARS = 4 << 20
"""Characters in the large fields of a page's tasks, beyond which no further task is added."""
ROWS_AT_ONCE = 50
FAILURES_NAMED = 3


class SqlReadModel:
    """The read model in the database of `engine`, whose tables exist (`create_tables`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = batch_writer(engine)

    async def position(self) -> LogSeq:
        """The last sequence applied."""
        async with self._connection() as connection:
            seq = await connection.scalar(select(positions.c.seq).where(positions.c.name == TASKS_POSITION))
            return LogSeq(seq or 0)

    async def stands_at(self) -> Position:
        """The last sequence applied, with its event's id, which identifies the log that was applied."""
        wanted = select(positions.c.seq, positions.c.event_id).where(positions.c.name == TASKS_POSITION)
        async with self._connection() as connection:
            row = (await connection.execute(wanted)).first()
            return Position(row.seq, row.event_id) if row is not None else Position(0)

    async def apply(self, events: Sequence[Recorded]) -> LogSeq:
        """Apply a contiguous batch and its position in one transaction; events applied before are skipped.

        Returns the new position.

        Raises:
            LogGap: the batch does not directly follow the position, or an event is not its task's next one.
            Busy: the database is unreachable; apply the batch again.
        """
        if not events:
            return await self.position()
        with translated():
            return await self._writer.write(events)

    async def reset(self) -> None:
        """Empty every table, including the snapshots of other folds, and set the position to 0."""
        with translated():
            async with self._engine.begin() as connection:
                await clear_tables(connection)

    async def get(self, task_id: TaskId) -> TaskRead | None:
        """One task, or None."""
        async with self._connection() as connection:
            found = await connection.execute(select(tasks).where(tasks.c.id == task_id))
            row = found.mappings().first()
            return as_task(row) if row is not None else None

    async def states(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskState]:
        """The states of those of the tasks `ids` that exist."""
        wanted = select(tasks.c.id, tasks.c.status, tasks.c.workspace).where(tasks.c.id.in_(ids))
        async with self._connection() as connection:
            return {row.id: TaskState(row.status, row.workspace) for row in await connection.execute(wanted)}

    async def find(
        self, wanted: TaskFilter, limit: int, after: str | None, *, brief: bool = False
    ) -> tuple[list[TaskRead], str | None]:
        """Matching tasks in the wanted order, and the cursor of the next page, None at the end.

        A page of very large tasks has fewer than `limit`, but at least one. So has one for which EXAMINED
        tasks were looked at, down to none.

        Raises:
            Invalid: `after` is not a cursor of an earlier call (`bad-cursor`).
        """
        rows: list[RowMapping] = []
        chars = 0
        more = False
        search = search_of(wanted, after)
        wide = search.page(limit + 1, brief=brief).execution_options(yield_per=ROWS_AT_ONCE)
        async with self._connection() as connection:
            async with connection.stream(wide) as found:
                async for row in found.mappings():
                    more = len(rows) == limit or chars > PAGE_CHARS
                    if more:
                        break
                    rows.append(row)
                    chars += chars_of(row)
            last = rows[-1] if more else await _last_examined(connection, search, EXAMINED)
        return [as_task(row) for row in rows], cursor_at(last) if last else None

    async def count_by_status(self) -> dict[str, int]:
        """The number of tasks in each status, 0 included; kept, not counted."""
        async with self._connection() as connection:
            kept = select(status_counts.c.status, status_counts.c.number)
            found = {str(status): int(count) for status, count in await connection.execute(kept)}
        return {status.value: found.get(status.value, 0) for status in Status}

    async def count(self, wanted: TaskFilter, most: int) -> TaskCounts:
        """How many matching tasks are in each status, 0 left out; of too many the first `most`."""
        search = search_of(wanted)
        async with self._connection() as connection:
            found = await connection.execute(search.count(most + 1))
            by_status = {str(status): int(count) for status, count in found}
            many = sum(by_status.values()) > most
            capped = many or await _last_examined(connection, search, COUNT_EXAMINED) is not None
        return TaskCounts(by_status, capped)

    async def failures_since(self, at: datetime, most: int) -> Failures:
        """The tasks that failed since `at`, found by an index, at most the newest `most` of them."""
        runners, statuses, on_request = Counter[RunnerId | None](), Counter[str](), 0
        async with self._connection() as connection:
            for runner, status, wanted, number in await connection.execute(failures_since(at, most)):
                if wanted:
                    on_request += number
                else:
                    runners[runner] += number
                    statuses[status] += number
            titles = await connection.execute(newest_failures(at, FAILURES_NAMED))
            return Failures(runners.most_common(), dict(statuses), list(titles.scalars()), on_request)

    async def unconfirmed_cancels(self, before: datetime, most: int) -> list[UnconfirmedCancel]:
        """Attempts that were asked to stop before `before` and have not ended, the longest first."""
        async with self._connection() as connection:
            rows = await connection.execute(unconfirmed_cancels(before, most))
            return [
                UnconfirmedCancel(name, title, runner, datetime.fromisoformat(at))
                for name, title, runner, at in rows
            ]

    async def open_questions(self, now: datetime) -> OpenQuestions:
        """How many jobs wait for an answer at `now`, and since when the first of them."""
        waits = or_(tasks.c.asked_until.is_(None), tasks.c.asked_until > rfc3339(now))
        asking = tasks.c.asked_at.is_not(None), waits
        first = select(tasks.c.asked_at, tasks.c.id).where(*asking).order_by(tasks.c.asked_at).limit(1)
        async with self._connection() as connection:
            count = (await connection.execute(select(func.count()).where(*asking))).scalar_one()
            oldest = (await connection.execute(first)).first()
        return (
            OpenQuestions(count, datetime.fromisoformat(oldest[0]), oldest[1])
            if oldest
            else OpenQuestions(0, None)
        )

    async def created_upto(
        self, upto: LogSeq, behind: TaskId | None, limit: int, *, oldest_first: bool = False
    ) -> list[TaskRead]:
        """At most `limit` of the tasks created at or before `upto`, in this order, after the task `behind`.

        None where the read model has no task `behind`.
        """
        async with self._connection() as connection:
            found = await connection.execute(created_upto(upto, behind, limit, oldest_first))
            return [as_task(row) for row in found.mappings()]

    async def claims(
        self, workspace: WorkspaceId, after: LogSeq, before: LogSeq, limit: int
    ) -> list[PastClaim]:
        """The `limit` newest claims of a workspace made after `after` and before `before`, newest first."""
        async with self._connection() as connection:
            found = await connection.execute(claims_of(workspace, after, before, limit))
            return [as_claim(row) for row in found.mappings()]

    async def lock_history(
        self, workspace: WorkspaceId | None, task_id: TaskId | None, limit: int
    ) -> list[LogSeq]:
        """Sequences of the `limit` most recent lock facts of a workspace or a task, ascending."""
        async with self._connection() as connection:
            rows = (await connection.execute(lock_facts(workspace, task_id, limit))).all()
        return sorted(seq for row in rows for seq in row if seq is not None)[-limit:]

    async def event_seqs(
        self, names: Sequence[str], after: LogSeq, before: LogSeq, limit: int, *, newest: bool = False
    ) -> EventSeqs:
        """The first or the newest `limit` events of these names after `after` and before `before`."""
        async with self._connection() as connection:
            rows = await connection.execute(seqs_of(names, after, before, limit, newest=newest))
            return as_seqs(rows, after, before, limit, newest=newest)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; Busy if the database is unreachable."""
        with translated():
            async with self._engine.connect() as connection:
                yield connection


async def _last_examined(connection: AsyncConnection, search: TaskSearch, examined: int) -> RowMapping | None:
    """The last task looked at, if there may be others behind it."""
    query = search.last_examined(examined)
    return (await connection.execute(query)).mappings().first() if query is not None else None
