"""Judges which registrations, removals and dispatches are void, each on the fold of all events before it.

No compare-and-set covers a registration and a claim together. Both are appended, and the log's total order
decides which of them count. A void event stays in the log and changes no state. Every fold reaches the same
verdict, because it depends on positions alone. A decider's own facts therefore enter here only when it reads
them from the log, however far ahead of the log it has decided.

A claim is open from its valid `dispatched` until its attempt ends or it is refused; if it is granted while
open, until its `released`. Any other grant is void and opens no claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domain.errors import Refused
from domain.identifiers import LOG_START, LogSeq, WorkspaceId
from domain.locks.claims import Key
from domain.log.payloads import DispatchedPayload, LockPayload, RegisteredPayload
from domain.log.record import Recorded
from domain.task.transitions import TERMINAL
from domain.workspaces.paths import components
from domain.workspaces.registry import Registration, WorkspaceTable

VoidReason = Literal["root-overlap", "workspace-in-use", "workspace-changed"]
_ALWAYS = {"registered", "removed", "dispatched", "granted", "refused", "released"}
CHANGING = frozenset(_ALWAYS | {status.value for status in TERMINAL})
"""The events that may change a judge's state; folds skip all others."""


@dataclass(frozen=True, slots=True)
class Void:
    """Why the event at `seq` is void.

    `root` is the root that the event names; `valid_root` is the workspace's root at that position, None if it
    was not registered. For a `root-overlap`, `other` is the overlapping workspace and `other_root` its root.
    """

    seq: LogSeq
    event: str
    workspace: WorkspaceId
    root: str | None
    by: str
    time: str
    reason: VoidReason
    valid_root: str | None
    other: WorkspaceId | None = None
    other_root: str | None = None

    def words(self) -> str:
        """Why the event is void, and what to do."""
        if self.reason == "root-overlap":
            return (
                f"root {self.root} overlaps {self.other_root} of workspace {self.other}; "
                "use that workspace with lock_paths, or another root"
            )
        if self.reason == "workspace-changed":
            return f"{self.changed()}; dispatch the task again"
        what = "be removed" if self.root is None else f"move from {self.valid_root} to {self.root}"
        return (
            f"workspace {self.workspace} cannot {what} while tasks hold or wait in it; "
            "let them end or cancel them first"
        )

    def changed(self) -> str:
        """The root that a void `dispatched` names, and the workspace's root at its position."""
        return changed(self.workspace, self.root, self.valid_root)

    def refusal(self) -> Refused:
        """The error that answers the request which led to the event."""
        extra: dict[str, Any] = {"workspace": self.workspace, "root": self.valid_root}
        if self.reason == "root-overlap":
            extra = {"workspace": self.other, "root": self.other_root}
        if self.seq:
            extra["seq"] = self.seq
        return Refused(self.reason, self.words(), extra)


def changed(workspace: WorkspaceId, root: str | None, valid_root: str | None) -> str:
    """The words for a dispatch under `root` when `valid_root` (None: no root) was registered."""
    now = f"was at {valid_root}" if valid_root else "was not registered"
    return f"dispatched under {root}, but workspace {workspace} {now} by then"


class Judge:
    """Valid registrations, open claims, and the workspaces whose newest registration event is void."""

    def __init__(self, registrations: Iterable[Registration] = ()) -> None:
        self.registrations = WorkspaceTable(registrations)
        self._void: dict[WorkspaceId, Void] = {}
        self._open: dict[WorkspaceId, dict[Key, bool]] = {}
        self._where: dict[Key, WorkspaceId] = {}

    # ------------------------------------------------------------------ folding

    def fold(self, event: Recorded) -> Void | None:
        """Apply the next event of the log; return why it is void, or None if it is valid."""
        name = event.event
        if event.kind == "workspace":
            return self._fold_registration(event)
        if event.kind == "lock":
            self._fold_lock(event)
        elif name == "dispatched":
            return self._fold_dispatched(event)
        elif name in CHANGING and event.attempt is not None:
            key = (event.subject_id, event.attempt)
            workspace = self._where.get(key)
            if workspace is not None and not self._open[workspace][key]:
                self._close(key)
        return None

    def _fold_registration(self, event: Recorded) -> Void | None:
        workspace = event.subject_id
        data: RegisteredPayload = event.data  # of `removed`, only `by` is read
        root = data["root"] if event.event == "registered" else None
        void = self.would_be_void(workspace, root, seq=event.seq, by=data["by"], time=event.time)
        if void is not None:
            self._void[workspace] = void
            return void
        self._void.pop(workspace, None)
        if root is None:
            self.registrations.remove(workspace)
        else:
            policy = data["on_runner_lost"]
            self.registrations.put(Registration(workspace, root, policy, event.seq, event.version))
        return None

    def _fold_dispatched(self, event: Recorded) -> Void | None:
        data: DispatchedPayload = event.data
        workspace, root = data["workspace"], data["root"]
        if workspace is None:
            return None
        valid = self.registrations.get(workspace)
        if valid is None or (valid.root != root and not _same(valid.root, root)):
            return Void(
                event.seq,
                "dispatched",
                workspace,
                root,
                data["by"],
                event.time,
                "workspace-changed",
                valid.root if valid else None,
            )
        key = (event.subject_id, data["attempt"])
        self._open.setdefault(workspace, {})[key] = False
        self._where[key] = workspace
        return None

    def _fold_lock(self, event: Recorded) -> None:
        fact: LockPayload = event.data
        key = (fact["task_id"], fact["attempt"])
        workspace = self._where.get(key)
        if workspace is None or workspace != event.subject_id:
            return
        if event.event == "granted":
            self._open[workspace][key] = True
        elif self._open[workspace][key] == (event.event == "released"):
            self._close(key)

    def _close(self, key: Key) -> None:
        workspace = self._where.pop(key)
        del self._open[workspace][key]
        if not self._open[workspace]:
            del self._open[workspace]

    # ------------------------------------------------------------------ looking

    def would_be_void(
        self,
        workspace: WorkspaceId,
        root: str | None,
        *,
        seq: LogSeq = LOG_START,
        by: str = "",
        time: str = "",
    ) -> Void | None:
        """Why `registered` with `root` (None: `removed`) would be void as the next event of the log."""
        valid = self.registrations.get(workspace)
        valid_root = valid.root if valid else None
        event: str = "removed" if root is None else "registered"
        if root is not None:
            other = self.registrations.overlapping(workspace, root)
            if other is not None:
                return Void(
                    seq, event, workspace, root, by, time, "root-overlap", valid_root, other.id, other.root
                )
        moves = root is None or (valid_root is not None and not _same(valid_root, root))
        if moves and workspace in self._open:
            return Void(seq, event, workspace, root, by, time, "workspace-in-use", valid_root)
        return None

    def void(self, workspace: WorkspaceId) -> Void | None:
        """The newest registration event of `workspace`, if that is void."""
        return self._void.get(workspace)

    def holds(self, key: Key) -> bool:
        """Whether this attempt holds a valid grant that is not released."""
        workspace = self._where.get(key)
        return workspace is not None and self._open[workspace][key]

    def is_open(self, key: Key) -> bool:
        """Whether this attempt's claim is open: it waits, or holds a valid grant."""
        return key in self._where

    def claim(self, key: Key) -> tuple[WorkspaceId, bool] | None:
        """The workspace of this attempt's open claim, and whether it is granted; None without one."""
        workspace = self._where.get(key)
        return None if workspace is None else (workspace, self._open[workspace][key])

    def open_claims(self, workspace: WorkspaceId) -> list[Key]:
        """The open claims of a workspace, waiting and granted, in the order of their `dispatched`."""
        return list(self._open.get(workspace, ()))

    # ------------------------------------------------------------------ snapshots

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data, for `restore`."""
        return {
            "registrations": self.registrations.snapshot(),
            "void": [asdict(void) for void in self._void.values()],
            "open": {
                workspace: [[*key, granted] for key, granted in claims.items()]
                for workspace, claims in self._open.items()
            },
        }

    @classmethod
    def resumed(
        cls, registrations: Iterable[Registration], claims: Iterable[tuple[WorkspaceId, Key, bool]]
    ) -> Judge:
        """A judge with these valid registrations and open claims (workspace, attempt, granted)."""
        judge = cls(registrations)
        for workspace, key, granted in claims:
            judge._open.setdefault(workspace, {})[key] = granted
            judge._where[key] = workspace
        return judge

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Judge:
        """The judge whose state `snapshot` returned."""
        judge = cls()
        judge.registrations = WorkspaceTable.restore(state["registrations"])
        judge._void = {one["workspace"]: Void(**one) for one in state["void"]}
        for workspace, claims in state["open"].items():
            judge._open[workspace] = {(task_id, attempt): granted for task_id, attempt, granted in claims}
            judge._where.update(dict.fromkeys(judge._open[workspace], workspace))
        return judge


def _same(one: str, other: str | None) -> bool:
    return other is not None and components(one) == components(other)
