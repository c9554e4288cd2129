"""Port `ReadModel`: tasks and lock history for queries, folded from the log and rebuildable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.log.position import Position
from domain.log.record import Recorded
from domain.task.view import TaskRead


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None leaves a field open.

    `id_part` is the beginning or the end of an id, of at least 4 characters. Where very many ids fit, only
    some are looked through: it is there to name a task.
    """

    status: tuple[str, ...] = ()
    workspace: str | None = None
    pool: str | None = None
    label: tuple[str, str] | None = None
    created_after: datetime | None = None
    id_part: str | None = None


class ReadModel(Protocol):
    """Tasks and grants in SQL, as of a position."""

    async def position(self) -> int:
        """The last sequence applied."""
        ...

    async def stands_at(self) -> Position:
        """The same, with the id of the event that stands there."""
        ...

    async def apply(self, events: Sequence[Recorded]) -> int:
        """Apply a contiguous batch and its position in one transaction; what was applied is passed over.

        Returns the new position.

        Raises:
            LogGap: the batch does not follow on the position.
        """
        ...

    async def reset(self) -> None:
        """Drop everything and start from an empty log."""
        ...

    async def get(self, task_id: str) -> TaskRead | None:
        """One task."""
        ...

    async def find(
        self, wanted: TaskFilter, limit: int, after: str | None
    ) -> tuple[list[TaskRead], str | None]:
        """Newest first. `after` is the opaque cursor of an earlier call; the second part is the next one."""
        ...

    async def count_by_status(self) -> dict[str, int]:
        """How many tasks there are in each status; 0 for those without.

        Raises:
            Busy: the database is away.
        """
        ...

    async def lock_history(self, workspace: str | None, task_id: str | None, limit: int) -> list[int]:
        """Sequences of recent lock facts of a workspace or a task, ascending."""
        ...
