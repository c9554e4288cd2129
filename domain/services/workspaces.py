"""Registers, moves and removes workspaces, with compare-and-set and the log's verdict.

Two overlapping roots cannot both be registered, and a workspace in which tasks hold or wait neither moves nor
goes. Each workspace has its own compare-and-set, so requests can race past the check with each other and with
dispatches. The log's order settles it (`domain.locks.judging`), and each request is answered by the verdict
on its own event, at that event's position.
"""

from __future__ import annotations

from domain.errors import Busy, NotFound
from domain.log.capacity import AmpleRoom, LogRoom, check_room
from domain.log.events import OnRunnerLost
from domain.log.record import Recorded
from domain.ports.lock_view import LockView
from domain.ports.log import AppendConflict, Clock, WorkspaceLog
from domain.workspaces.paths import normalise_root
from domain.workspaces.registry import Registration

MAX_TRIES = 8


class WorkspaceService:
    """Registrations and removals of workspaces."""

    def __init__(self, log: WorkspaceLog, view: LockView, clock: Clock, room: LogRoom | None = None) -> None:
        """`room` says whether there is room for new registrations; without it there always is."""
        self._log = log
        self._room = room or AmpleRoom()
        self._view = view
        self._clock = clock

    async def register(
        self, workspace: str, root: str, on_runner_lost: OnRunnerLost, actor: str
    ) -> tuple[Registration, bool]:
        """Register or change a workspace; the same again records nothing.

        Returns the registration and whether the workspace is new.

        Raises:
            Invalid: `root` is not an absolute, plain path.
            Refused: the root overlaps another workspace's (`root-overlap`), or it is another one and tasks
                hold or wait in the workspace (`workspace-in-use`). Where another event won the race, this
                one stands in the log all the same, void for every reader.
            LogFull: the log has no room for new registrations.
        """
        root = normalise_root(root)
        for _ in range(MAX_TRIES):
            current = await self._checked(workspace, root)
            if current is not None and (current.root, current.on_runner_lost) == (root, on_runner_lost):
                return current, False
            check_room(self._room)
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

    async def remove(self, workspace: str, reason: str | None, actor: str) -> None:
        """Forget a registration; only while nothing holds or waits in the workspace.

        Raises:
            NotFound: it is not registered.
            Refused: something is open in it (`workspace-in-use`); see `register`.
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

    async def _checked(self, workspace: str, root: str | None) -> Registration | None:
        """What is registered at the log's end, where `root` (None: a removal) would count now.

        Raises:
            Refused: it would be void; nothing is recorded.
        """
        await self._view.at_end()
        void = self._view.would_be_void(workspace, root)
        if void is not None:
            raise void.refusal()
        return self._view.seen_registration(workspace)

    async def _confirm(self, workspace: str, event: Recorded) -> None:
        """Return if `event` counts at its position, whatever has come behind it.

        Raises:
            Refused: it is void.
            Busy: this process has not read so far yet.
        """
        if not await self._view.caught_up(event.seq):
            raise _busy(workspace)
        void = self._view.verdict(event.seq)
        if void is not None:
            raise void.refusal()


def _busy(workspace: str) -> Busy:
    return Busy("busy", f"registrations of {workspace} kept changing or lag behind; send the request again")
