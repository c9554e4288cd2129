"""Port `LockView`: holders and waiters, as far as this process has folded the log."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from domain.locks.claims import Grant
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
    """Claims that hold and that wait; `due`: workspaces in which the next fact could be appended now."""

    held: int
    waiting: int
    due: int


class GrantView(Protocol):
    """Which attempts hold a grant that counts."""

    async def caught_up(self, seq: int, timeout: float = 2.0) -> bool:
        """Wait until `seq` is folded; False if that took longer than `timeout` seconds."""
        ...

    async def granted(self, task_id: str, attempt: int, workspace: str) -> bool:
        """Whether this attempt holds a grant that is not void, decided on everything the leader has."""
        ...


class RegistrationView(Protocol):
    """Which registration of a workspace counts: that hangs on the claims, too."""

    async def registration(self, workspace: str) -> Registration | None:
        """The workspace's valid registration, decided on everything the leader has about it."""
        ...


class LockView(GrantView, RegistrationView, Protocol):
    """This process's own fold of the locks and registrations, always a little behind the log."""

    @property
    def figures(self) -> LogFigures:
        """What was counted on the way."""
        ...

    def open_locks(self) -> OpenLocks:
        """How many claims are open, as far as it is folded."""
        ...

    @property
    def seq(self) -> int:
        """The last sequence folded."""
        ...

    async def at_end(self) -> None:
        """Wait until everything the leader has is folded.

        What is answered without an append is decided on the view as it is then, before anything is awaited.

        Raises:
            Busy: that took longer than 2 seconds.
        """
        ...

    async def holding(self, task_id: str, attempt: int, workspace: str) -> int | None:
        """The fencing token this attempt holds, decided on everything the leader has; None if nothing."""
        ...

    def seen_registration(self, workspace: str) -> Registration | None:
        """The workspace's valid registration as far as it is folded."""
        ...

    def lock_of(self, task: Task) -> LockRead:
        """The lock of the task's current attempt as far as it is folded."""
        ...

    async def decided(self, task_id: str, attempt: int, timeout: float = 2.0) -> LockDecision:
        """Wait until the lock projection has granted or refused this attempt, or it waits behind others.

        `void`: its `dispatched` stands in the log under a root that is not its workspace's.
        `undecided` after `timeout` seconds, or if the attempt has no open claim.
        """
        ...

    async def released(self, task_id: str, attempt: int, timeout: float = 2.0) -> bool:
        """Wait until this attempt holds nothing; False after `timeout` seconds."""
        ...

    def refusal(self, task_id: str, attempt: int) -> list[HolderPayload]:
        """Who was in the way of a recently refused attempt."""
        ...

    def would_be_void(self, workspace: str, root: str | None) -> Void | None:
        """Why `registered` with `root` (None: `removed`) would be void behind what is folded."""
        ...

    def verdict(self, seq: int) -> Void | None:
        """Why the event at `seq`, which was folded, is void; None where it counts. Busy if long ago."""
        ...

    def void_registration(self, workspace: str) -> Void | None:
        """The newest registration event of a workspace, if that is void."""
        ...

    def void_dispatch(self, task_id: str, attempt: int) -> Void | None:
        """Why the `dispatched` of an attempt is void, if its `refused` is due or it was folded lately."""
        ...

    def registrations(self) -> list[Registration]:
        """All valid workspace registrations, by id."""
        ...

    def entries(self, workspace: str | None = None) -> list[LockEntry]:
        """Holders and waiters: of one workspace (always one entry), or of all where anything is open."""
        ...

    def picture(self, workspace: str) -> EntryPicture:
        """A workspace's entry as it is now, to be written row by row."""
        ...

    def open_workspaces(self) -> list[str]:
        """The ids of all workspaces in which anything holds or waits, in order."""
        ...

    def open_size(self, workspace: str) -> OpenSize:
        """How much is open in a workspace, as far as it is folded."""
        ...

    def holders(self, workspace: str) -> list[Grant]:
        """Who holds in a workspace, in the order of the grants."""
        ...

    def in_the_way(self, workspace: str, task_id: str, attempt: int) -> LockEntry:
        """The first holders and waiters in the way of an attempt that waits in `workspace`."""
        ...
