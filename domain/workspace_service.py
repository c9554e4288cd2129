"""Registers workspaces: which directory an id means, and what happens when a runner is lost there.

Two overlapping roots cannot both be registered. Each workspace has its own compare-and-set, so two
requests can race past the check; the fold (`WorkspaceTable`) settles it by the log's order, and the
later one is answered with the conflict once its own fold has caught up.
"""

from __future__ import annotations

from domain.errors import Busy, NotFound, Refused
from domain.events import OnRunnerLost
from domain.paths import normalise_root, roots_overlap
from domain.ports.lock_view import LockView
from domain.ports.log import AppendConflict, Clock, WorkspaceLog
from domain.room import AmpleRoom, LogRoom, check_room
from domain.workspaces import Registration

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
            Refused: the root overlaps another workspace's (`root-overlap`). Where another registration won
                the race, this one stands in the log all the same, void for every reader.
            LogFull: the log has no room for new registrations.
        """
        root = normalise_root(root)
        for _ in range(MAX_TRIES):
            current = await self._view.registration(workspace)
            self._check_free(workspace, root)
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
            if not await self._view.caught_up(event.seq):
                raise _busy(workspace)
            valid = next((one for one in self._view.registrations() if one.id == workspace), None)
            if valid is not None and valid.seq == event.seq:
                return valid, current is None
            self._check_free(workspace, root)
        raise _busy(workspace)

    async def remove(self, workspace: str, reason: str | None, actor: str) -> None:
        """Forget a registration; only while nothing holds or waits in the workspace.

        Raises:
            NotFound: it is not registered.
            Refused: something is open in it (`workspace-in-use`).
        """
        for _ in range(MAX_TRIES):
            current = await self._view.registration(workspace)
            last = await self._log.last_registration(workspace)
            if current is None or last is None:
                raise NotFound("no-such-workspace", f"workspace {workspace} is not registered")
            if self._view.open_size(workspace).claims:
                raise Refused(
                    "workspace-in-use",
                    f"tasks hold or wait in workspace {workspace}; let them end or cancel them first",
                )
            try:
                event = await self._log.append_removed(workspace, last, reason, at=self._clock(), actor=actor)
            except AppendConflict:
                continue
            await self._view.caught_up(event.seq)
            return
        raise _busy(workspace)

    def _check_free(self, workspace: str, root: str) -> None:
        for other in self._view.registrations():
            if other.id != workspace and roots_overlap(other.root, root):
                raise Refused(
                    "root-overlap",
                    f"root {root} overlaps {other.root} of workspace {other.id}; "
                    "use that workspace with lock_paths, or another root",
                    {"workspace": other.id, "root": other.root},
                )


def _busy(workspace: str) -> Busy:
    return Busy("busy", f"registrations of {workspace} kept changing or lag behind; send the request again")
