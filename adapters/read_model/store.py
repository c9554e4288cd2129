"""The read model in SQL: tasks and grants as of a position in the log.

A batch and the position it leads to are one transaction, so a crash leaves both or neither and a batch
that comes again is passed over. Any number of processes may apply the same log to one database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.read_model.database import TASKS_POSITION, clear_tables
from adapters.read_model.errors import translated
from adapters.read_model.queries import as_task, chars_of, cursor_at, lock_facts, page_of_tasks
from adapters.read_model.tables import positions, tasks
from adapters.read_model.writer import batch_writer
from domain.log.position import Position
from domain.log.record import Recorded
from domain.ports.read_model import TaskFilter
from domain.task.transitions import Status
from domain.task.view import TaskRead

PAGE_CHARS = 4 << 20
"""What the large fields of a page's tasks may have together, before the last one of them."""
ROWS_AT_ONCE = 50


class SqlReadModel:
    """The read model in the database of `engine`, whose tables exist (`create_tables`)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = batch_writer(engine)

    async def position(self) -> int:
        """The last sequence applied."""
        async with self._connection() as connection:
            seq = await connection.scalar(select(positions.c.seq).where(positions.c.name == TASKS_POSITION))
            return seq or 0

    async def stands_at(self) -> Position:
        """The same, with the id of the event there: it tells whether the log is the one that was applied."""
        wanted = select(positions.c.seq, positions.c.event_id).where(positions.c.name == TASKS_POSITION)
        async with self._connection() as connection:
            row = (await connection.execute(wanted)).first()
            return Position(row.seq, row.event_id) if row is not None else Position(0)

    async def apply(self, events: Sequence[Recorded]) -> int:
        """Apply a contiguous batch and its position in one transaction; what was applied is passed over.

        Returns the new position.

        Raises:
            LogGap: the batch does not follow on the position, or an event is not its task's next one.
            Busy: the database is away; apply it again.
        """
        if not events:
            return await self.position()
        with translated():
            return await self._writer.write(events)

    async def reset(self) -> None:
        """Empty every table, the snapshots of other folds too, and start from an empty log."""
        with translated():
            async with self._engine.begin() as connection:
                await clear_tables(connection)

    async def get(self, task_id: str) -> TaskRead | None:
        """One task."""
        async with self._connection() as connection:
            found = await connection.execute(select(tasks).where(tasks.c.id == task_id))
            row = found.mappings().first()
            return as_task(row) if row is not None else None

    async def find(
        self, wanted: TaskFilter, limit: int, after: str | None
    ) -> tuple[list[TaskRead], str | None]:
        """Newest first; the second part is the cursor of the next page, None at the end.

        A page ends early where its tasks are very large; it has at least one.

        Raises:
            Invalid: `after` is no cursor of an earlier call (`bad-cursor`).
        """
        rows: list[RowMapping] = []
        chars = 0
        more = False
        wide = page_of_tasks(wanted, limit + 1, after).execution_options(yield_per=ROWS_AT_ONCE)
        async with self._connection() as connection, connection.stream(wide) as found:
            async for row in found.mappings():
                more = len(rows) == limit or chars > PAGE_CHARS
                if more:
                    break
                rows.append(row)
                chars += chars_of(row)
        return [as_task(row) for row in rows], cursor_at(rows[-1]) if more else None

    async def count_by_status(self) -> dict[str, int]:
        """How many tasks there are in each status; one pass over an index, 0 for those without."""
        async with self._connection() as connection:
            counted = select(tasks.c.status, func.count()).group_by(tasks.c.status)
            found = {str(status): int(count) for status, count in await connection.execute(counted)}
        return {status.value: found.get(status.value, 0) for status in Status}

    async def lock_history(self, workspace: str | None, task_id: str | None, limit: int) -> list[int]:
        """Sequences of the `limit` most recent lock facts of a workspace or a task, ascending."""
        async with self._connection() as connection:
            rows = (await connection.execute(lock_facts(workspace, task_id, limit))).all()
        return sorted(seq for row in rows for seq in row if seq is not None)[-limit:]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with; Busy where the database is away."""
        with translated():
            async with self._engine.connect() as connection:
                yield connection
