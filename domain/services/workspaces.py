"""Registers, moves and removes workspaces, with compare-and-set and the log's verdict.

Two overlapping roots cannot both be registered, and a workspace in which tasks hold or wait can be neither
moved nor removed. Each workspace has its own compare-and-set, so concurrent requests and dispatches can pass
the check and all be appended. The log's order then decides which are void (`domain.locks.judging`); each
request is answered by the verdict on its own event, at that event's position.
"""

from __future__ import annotations

from domain.errors import Busy, NotFound
from domain.identifiers import WorkspaceId
from domain.log.capacity import AmpleCapacity, LogCapacity, check_capacity
from domain.log.events import OnRunnerLost
from domain.log.record import Recorded
from domain.ports.lock_view import LockView
from domain.ports.log import AppendConflict, Clock, WorkspaceLog
from domain.workspaces.paths import normalise_root
from domain.workspaces.registry import Registration

MAX_TRIES = 8


class WorkspaceService:
    """Registrations and removals of workspaces."""

    def __init__(
        self, log: WorkspaceLog, view: LockView, clock: Clock, capacity: LogCapacity | None = None
    ) -> None:
        """`capacity` bounds new registrations by the log's limits; without it there is no bound."""
        self._log = log
        self._capacity = capacity or AmpleCapacity()
        self._view = view
        self._clock = clock

    async def register(
        self, workspace: WorkspaceId, root: str, on_runner_lost: OnRunnerLost, actor: str
    ) -> tuple[Registration, bool]:
        """Register or change a workspace; idempotent.

        Returns the registration and whether the workspace is new.

        Raises:
            Invalid: `root` is not an absolute, plain path.
            Refused: the root overlaps another workspace's (`root-overlap`), or the root changes while tasks
                hold or wait in the workspace (`workspace-in-use`). If a concurrent event came first, this
                one stays in the log as a void event.
            LogFull: the log has no room for new registrations.
        """
        root = normalise_root(root)
        for _ in range(MAX_TRIES):
            current = await self._checked(workspace, root)
            if current is not None and (current.root, current.on_runner_lost) == (root, on_runner_lost):
                return current, False
            check_capacity(self._capacity)
            last = await self._log.last_registration(workspace)
            try:
                event = await self._log.append_registered(
                    workspace, last, root, on_runner_lost, at=self._clock(), actor=actor
                )
            except AppendConflict:
                continue
            await self._confirm(workspace, event)
            return Registration(workspace, root, on_runner_lost, event.seq, event.version), current is None
        raise _busy(workspace)

    async def remove(self, workspace: WorkspaceId, reason: str | None, actor: str) -> None:
        """Remove a registration; only while no claim is open in the workspace.

        Raises:
            NotFound: it is not registered.
            Refused: a claim is open in it (`workspace-in-use`); see `register`.
        """
        for _ in range(MAX_TRIES):
            current = await self._checked(workspace, None)
            last = await self._log.last_registration(workspace)
            if current is None or last is None:
                raise NotFound("no-such-workspace", f"workspace {workspace} is not registered")
            try:
                event = await self._log.append_removed(workspace, last, reason, at=self._clock(), actor=actor)
            except AppendConflict:
                continue
            await self._confirm(workspace, event)
            return
        raise _busy(workspace)

    async def _checked(self, workspace: WorkspaceId, root: str | None) -> Registration | None:
        """The registration at the log's end, after checking that `root` (None: a removal) would be valid.

        Raises:
            Refused: it would be void; nothing is recorded.
        """
        await self._view.at_end()
        void = self._view.would_be_void(workspace, root)
        if void is not None:
            raise void.refusal()
        return self._view.seen_registration(workspace)

    async def _confirm(self, workspace: WorkspaceId, event: Recorded) -> None:
        """Return if `event` is valid at its position; later events do not matter.

        Raises:
            Refused: it is void.
            Busy: this process has not folded the log that far yet.
        """
        if not await self._view.caught_up(event.seq):
            raise _busy(workspace)
        void = self._view.verdict(event.seq)
        if void is not None:
            raise void.refusal()


def _busy(workspace: WorkspaceId) -> Busy:
    return Busy("busy", f"registrations of {workspace} kept changing or lag behind; send the request again")
