"""Port `LockView`: this process's fold of the locks and registrations, for commands and queries.

"Linearizable" below means: decided on everything the leader had when the call was made. All other answers may
lag behind the log.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

from domain.identifiers import FencingToken, LogSeq, TaskId, WorkspaceId
from domain.locks.claims import Grant, Waiter
from domain.locks.judging import Void
from domain.locks.statistics import LogFigures
from domain.locks.view import EntryPicture, LockEntry
from domain.locks.workspace_locks import OpenSize
from domain.log.payloads import HolderPayload
from domain.task.aggregate import Task
from domain.task.view import LockRead
from domain.workspaces.registry import Registration

LockDecision = Literal["granted", "refused", "void", "waiting", "undecided"]


class OpenLocks(NamedTuple):
    """How many claims hold and wait; `due`: how many workspaces have a lock event due now."""

    held: int
    waiting: int
    due: int


class GrantView(Protocol):
    """Which attempts hold a valid grant."""

    async def caught_up(self, seq: LogSeq, timeout: float = 2.0) -> bool:
        """Wait until `seq` is folded; False if that takes longer than `timeout` seconds."""
        ...

    async def granted(self, task_id: TaskId, attempt: int, workspace: WorkspaceId) -> bool:
        """Whether this attempt holds a valid grant. Linearizable."""
        ...


class RegistrationView(Protocol):
    """The valid registration of a workspace, which depends on its open claims, too."""

    async def registration(self, workspace: WorkspaceId) -> Registration | None:
        """The workspace's valid registration. Linearizable."""
        ...


class LockView(GrantView, RegistrationView, Protocol):
    """This process's own fold of the locks and registrations, a little behind the log."""

    @property
    def figures(self) -> LogFigures:
        """Statistics of the fold."""
        ...

    def open_locks(self) -> OpenLocks:
        """How many claims are open."""
        ...

    @property
    def seq(self) -> LogSeq:
        """The last sequence folded."""
        ...

    async def at_end(self) -> None:
        """Wait until everything the leader has is folded.

        A caller that answers without an append must decide on the view then, before it awaits anything else.

        Raises:
            Busy: that takes longer than 2 seconds.
        """
        ...

    async def holding(self, task_id: TaskId, attempt: int, workspace: WorkspaceId) -> FencingToken | None:
        """The fencing token of this attempt's grant, or None. Linearizable."""
        ...

    def seen_registration(self, workspace: WorkspaceId) -> Registration | None:
        """The workspace's valid registration, or None."""
        ...

    def lock_of(self, task: Task) -> LockRead:
        """The lock of the task's current attempt."""
        ...

    def waiting(self, task_id: TaskId, attempt: int) -> LockRead | None:
        """The place of an attempt that waits for its lock, and what blocks it; None if it does not wait."""
        ...

    async def decided(self, task_id: TaskId, attempt: int, timeout: float = 2.0) -> LockDecision:
        """Wait until the lock projection has granted or refused this attempt, or others block it.

        `void`: its `dispatched` names a root that was not its workspace's.
        `undecided`: `timeout` seconds are over, or the attempt has no open claim.
        """
        ...

    async def released(self, task_id: TaskId, attempt: int, timeout: float = 2.0) -> bool:
        """Wait until this attempt holds no grant; False after `timeout` seconds."""
        ...

    def listening(self, task_id: TaskId, attempt: int) -> AbstractContextManager[asyncio.Event]:
        """Until the context ends, sets the event whenever one about this attempt has been folded."""
        ...

    def refusal(self, task_id: TaskId, attempt: int) -> list[HolderPayload]:
        """The claims that blocked a recently refused attempt."""
        ...

    def would_be_void(self, workspace: WorkspaceId, root: str | None) -> Void | None:
        """Why `registered` with `root` (None: `removed`) would be void as the next event; None if valid."""
        ...

    def verdict(self, seq: LogSeq) -> Void | None:
        """Why the folded event at `seq` is void; None if it is valid. Busy if it was folded too long ago."""
        ...

    def void_registration(self, workspace: WorkspaceId) -> Void | None:
        """The newest registration event of a workspace, if it is void."""
        ...

    def void_dispatch(self, task_id: TaskId, attempt: int) -> Void | None:
        """Why the `dispatched` of an attempt is void, while its `refused` is due or was folded recently."""
        ...

    def registrations(self) -> list[Registration]:
        """All valid workspace registrations, by id."""
        ...

    def entries(self, workspace: WorkspaceId | None = None) -> list[LockEntry]:
        """Holders and waiters of one workspace (always one entry), or of all with open claims."""
        ...

    def picture(self, workspace: WorkspaceId) -> EntryPicture:
        """A frozen copy of a workspace's entry, to be written row by row."""
        ...

    def open_workspaces(self) -> list[WorkspaceId]:
        """The ids of all workspaces with open claims, in order."""
        ...

    def open_size(self, workspace: WorkspaceId) -> OpenSize:
        """The number and size of a workspace's open claims."""
        ...

    def holders(self, workspace: WorkspaceId) -> list[Grant]:
        """The grants of a workspace, in order."""
        ...

    def first_waiter(self, workspace: WorkspaceId) -> Waiter | None:
        """The claim of a workspace that has waited longest, and what blocks it."""
        ...

    def in_the_way(self, workspace: WorkspaceId, task_id: TaskId, attempt: int) -> LockEntry:
        """The first holders and waiters that block an attempt waiting in `workspace`."""
        ...
