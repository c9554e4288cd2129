"""The lock table: folds the log and decides the next grant, refusal or release. Pure and deterministic.

A decision depends on the folded state alone, not on which event was folded last. Owed releases come first,
then refusals of claims whose `dispatched` is void (`domain.locks.judging`), then claims in the order of their
`dispatched` sequence. An append expects the sequence and the chain of the last lock fact folded here, never
the log's end. A decider that lags loses its compare-and-set, folds on and decides again, so any number of
deciders may run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from domain.identifiers import LOG_START, FencingToken, LogSeq, TaskId, WorkspaceId
from domain.locks.claims import (
    Claim,
    EndedClaim,
    Grant,
    Key,
    LockFact,
    Owed,
    VoidClaim,
    Waiter,
)
from domain.locks.conflict_index import Crowd
from domain.locks.judging import CHANGING, Judge, Void
from domain.locks.lock_facts import grant_fact, refusal_fact, release_fact, void_refusal_fact
from domain.locks.snapshot import locks_from_json, locks_to_json
from domain.locks.workspace_locks import MOST_NAMED, OpenSize, WorkspaceLocks
from domain.log.payloads import (
    BoundPayload,
    DispatchedPayload,
    GrantedPayload,
    LockPayload,
    LockReleaseRequestedPayload,
)
from domain.log.record import Recorded
from domain.task.transitions import TERMINAL
from domain.workspaces.registry import Registration

_TERMINAL_EVENTS = frozenset(status.value for status in TERMINAL)
_VOID = "void"


class LockTable:
    """Open claims and grants of all workspaces. Memory grows with open claims, not with history.

    `judged`: why the event folded last is void; None if it is valid.
    """

    def __init__(self, registrations: Iterable[Registration] = ()) -> None:
        self.seq = LOG_START
        self.judge = Judge(registrations)
        self.judged: Void | None = None
        self._workspaces: dict[WorkspaceId, WorkspaceLocks] = {}
        self._where: dict[Key, WorkspaceId] = {}

    # ------------------------------------------------------------------ folding

    def fold(self, event: Recorded) -> WorkspaceId | None:
        """Apply one event of any kind; return the workspace whose next decision may have changed.

        Folding is idempotent: an event folded before is skipped. So is a lock fact at or before the last one
        applied to its workspace, which lets a decider fold its own fact as soon as the log has acknowledged
        it.
        """
        if event.seq <= self.seq:
            self.judged = None
            return None
        self.seq = event.seq
        self.judged = self.judge.fold(event) if event.event in CHANGING else None
        if event.kind == "task":
            return self._fold_task(event)
        if event.kind == "lock":
            return self._fold_lock(event)
        return None

    def fold_own(self, event: Recorded) -> None:
        """Apply a fact that this decider has just appended, to decide the next one before reading it back.

        `seq` stays, and `judge` sees the fact only when it comes from the log: events before it must be
        judged without it.
        """
        self._fold_lock(event)

    def _fold_task(self, event: Recorded) -> WorkspaceId | None:
        name = event.event
        if name == "dispatched":
            return self._open(event)
        if event.attempt is None:
            return None
        key = (event.subject_id, event.attempt)
        workspace = self._where.get(key)
        if workspace is None:
            return None
        locks = self._workspaces[workspace]
        grant = locks.holders.get(key)
        if name in _TERMINAL_EVENTS:
            owed = Owed(name, event.seq, event.actor)
            if grant is not None:
                locks.owe(key, owed)
            elif (claim := locks.stop_waiting(key)) is not None:
                locks.ended[key] = EndedClaim(claim, owed)
                del self._where[key]
            if (void := locks.void.pop(key, None)) is not None:
                locks.ended[key] = EndedClaim(void.claim, owed, void)
                self._forget(locks, key)
            return workspace
        if grant is None:
            return workspace
        if name == "lock-release-requested":
            asked: LockReleaseRequestedPayload = event.data
            if asked["token"] == grant.token:
                locks.owe(key, Owed("operator", event.seq, asked["by"]))
        elif name in ("queued", "running"):
            bound: BoundPayload = event.data
            grant.runner_id = bound.get("runner_id") or grant.runner_id
            grant.instance = bound.get("instance") or grant.instance
            grant.bound_at = grant.bound_at or event.time
            return None
        return workspace

    def _open(self, event: Recorded) -> WorkspaceId | None:
        dispatched: DispatchedPayload = event.data
        workspace = dispatched["workspace"]
        if workspace is None:
            return None
        claim = Claim(
            event.subject_id,
            dispatched["attempt"],
            workspace,
            dispatched["root"],
            tuple(dispatched["lock_paths"]),
            dispatched["lock_mode"],
            dispatched["on_conflict"],
            event.seq,
            event.time,
            event.traceparent,
            dispatched.get("lock_wait_seconds"),
        )
        locks = self._locks(workspace)
        if self.judged is not None:
            locks.void[claim.key] = VoidClaim(claim, self.judged.valid_root)
        else:
            locks.wait(claim)
        self._where[claim.key] = workspace
        return workspace

    def _fold_lock(self, event: Recorded) -> WorkspaceId | None:
        workspace: WorkspaceId = event.subject_id
        locks = self._locks(workspace)
        # this decider has folded it as its own already
        if event.seq <= locks.last_seq:
            return None
        fact: LockPayload = event.data
        key = (fact["task_id"], fact["attempt"])
        if event.event == "granted":
            self._hold(locks, key, event)
        elif event.event == "refused":
            locks.ended.pop(key, None)
            if locks.stop_waiting(key) or locks.void.pop(key, None):
                self._forget(locks, key)
        elif locks.release(key) is not None:
            self._forget(locks, key)
        seen = fact["seen_seq"]
        if locks.ended:
            # a decider that had seen the end grants it no more, and all later ones have seen more
            locks.ended = {key: ended for key, ended in locks.ended.items() if ended.owed.seq > seen}
        locks.last_seq, locks.last_version, locks.last_chain = event.seq, event.version, event.chain
        return workspace

    def _locks(self, workspace: WorkspaceId) -> WorkspaceLocks:
        locks = self._workspaces.get(workspace)
        if locks is None:
            locks = self._workspaces[workspace] = WorkspaceLocks()
        return locks

    def _forget(self, locks: WorkspaceLocks, key: Key) -> None:
        """Forget the workspace of a claim, unless the claim waits, is void or holds."""
        if not (key in locks.waiting or key in locks.void or key in locks.holders):
            self._where.pop(key, None)

    def _hold(self, locks: WorkspaceLocks, key: Key, event: Recorded) -> None:
        """Record a grant; if its claim was not open at that position it is void, and its release is owed."""
        # granted beside its own end: the release is owed at once, and the end stands as its reason
        ended = locks.ended.pop(key, None)
        claim = locks.waiting.get(key)
        owed = None
        if ended is not None:
            claim, owed = ended.claim, ended.owed
        elif claim is None:
            granted: GrantedPayload = event.data
            owed = Owed(_VOID, event.seq, event.actor)
            claim = Claim(
                task_id=key[0],
                attempt=key[1],
                workspace=event.subject_id,
                root=granted["root"],
                paths=tuple(granted["paths"]),
                mode=granted["mode"],
                on_conflict="wait",
                seq=event.seq,
                since=event.time,
            )
        locks.hold(Grant(claim, token=FencingToken(event.seq), since=event.time, owed=owed))
        self._where[key] = event.subject_id

    # ------------------------------------------------------------------ deciding

    def decide(self, workspace: WorkspaceId) -> LockFact | None:
        """The one fact to append next for `workspace`, or None if none is due."""
        locks = self._workspaces.get(workspace)
        if locks is None:
            return None
        grant = locks.first_owed()
        if grant is not None and grant.owed is not None:
            return release_fact(locks, grant.claim, grant.owed, self.seq)
        void = next(iter(locks.void.values()), None)
        if void is not None:
            return void_refusal_fact(locks, void, self.seq)
        candidate = locks.next_candidate()
        if candidate is None:
            return None
        claim, blocked = candidate
        made = refusal_fact if blocked else grant_fact
        return made(locks, claim, self.seq)

    def pending(self) -> list[WorkspaceId]:
        """The workspaces for which a fact is due; called once after a start."""
        return [workspace for workspace in self._workspaces if self.decide(workspace) is not None]

    # ------------------------------------------------------------------ looking

    def last_seq(self, workspace: WorkspaceId) -> LogSeq:
        """The sequence of the last lock fact applied to `workspace`; 0 without one."""
        locks = self._workspaces.get(workspace)
        return locks.last_seq if locks else LOG_START

    def workspaces(self) -> Iterator[WorkspaceId]:
        """Workspaces with holders or waiters, by name."""
        return iter(
            sorted(name for name, locks in self._workspaces.items() if locks.holders or locks.waiting)
        )

    def open_claims(self) -> tuple[int, int]:
        """How many claims hold and how many wait, in all workspaces."""
        every = self._workspaces.values()
        return sum(len(locks.holders) for locks in every), sum(len(locks.waiting) for locks in every)

    def grant(self, task_id: TaskId, attempt: int) -> Grant | None:
        """This attempt's grant, even if it is void or its release is owed."""
        workspace = self._where.get((task_id, attempt))
        return self._workspaces[workspace].holders.get((task_id, attempt)) if workspace else None

    def valid_grant(self, task_id: TaskId, attempt: int) -> Grant | None:
        """This attempt's grant unless it is void; its release may be owed."""
        return self.grant(task_id, attempt) if self.judge.holds((task_id, attempt)) else None

    def void_claim(self, workspace: WorkspaceId, task_id: TaskId, attempt: int) -> VoidClaim | None:
        """The claim of this attempt, if its `dispatched` is void and its `refused` may still come."""
        locks = self._workspaces.get(workspace)
        if locks is None:
            return None
        key = (task_id, attempt)
        ended = locks.ended.get(key)
        return locks.void.get(key) or (ended.void if ended else None)

    def void_dispatch(self, task_id: TaskId, attempt: int) -> Void | None:
        """Why the `dispatched` of this attempt is void, while its `refused` is due."""
        workspace = self._where.get((task_id, attempt))
        void = self.void_claim(workspace, task_id, attempt) if workspace is not None else None
        if void is None:
            return None
        claim = void.claim
        return Void(
            claim.seq,
            "dispatched",
            claim.workspace,
            claim.root,
            "",
            claim.since,
            "workspace-changed",
            void.valid_root,
        )

    def claim(self, workspace: WorkspaceId, task_id: TaskId, attempt: int) -> Claim | None:
        """The claim of this attempt that waits, or that ended while waiting and may yet be granted."""
        locks = self._workspaces.get(workspace)
        if locks is None:
            return None
        key = (task_id, attempt)
        ended = locks.ended.get(key)
        return locks.waiting.get(key) or (ended.claim if ended else None)

    def ended(self, workspace: WorkspaceId, task_id: TaskId, attempt: int) -> Owed | None:
        """The end of this attempt, if it came before the decision and a lock fact may yet follow it."""
        locks = self._workspaces.get(workspace)
        ended = locks.ended.get((task_id, attempt)) if locks else None
        return ended.owed if ended else None

    def owed_at(self, workspace: WorkspaceId, seq: LogSeq) -> Grant | None:
        """A grant of the workspace whose release was already owed at position `seq` and is not appended."""
        locks = self._workspaces.get(workspace)
        return locks.owed_at(seq) if locks else None

    def waiter(self, task_id: TaskId, attempt: int) -> Waiter | None:
        """This attempt's position in the queue, and what blocks it; None if it does not wait."""
        key = (task_id, attempt)
        workspace = self._where.get(key)
        if workspace is None or key not in self._workspaces[workspace].waiting:
            return None
        return self._workspaces[workspace].waiter(key)

    def holders(self, workspace: WorkspaceId) -> list[Grant]:
        """All grants of a workspace in the order they were made."""
        locks = self._workspaces.get(workspace)
        return list(locks.holders.values()) if locks else []

    def in_the_way(self, task_id: TaskId, attempt: int) -> tuple[list[Grant], list[Waiter]]:
        """The first holders and waiters that block this attempt, in order; none if it does not wait."""
        key = (task_id, attempt)
        workspace = self._where.get(key)
        locks = self._workspaces[workspace] if workspace else WorkspaceLocks()
        if key not in locks.waiting:
            return [], []
        claims = locks.index.blockers(key, MOST_NAMED)[0]
        holders = [locks.holders[one.key] for one in claims if locks.holds(one)]
        return holders, [locks.waiter(one.key) for one in claims if not locks.holds(one)]

    def waits(self, task_id: TaskId, attempt: int) -> bool:
        """Whether this attempt waits with `on_conflict` `wait` and is blocked."""
        key = (task_id, attempt)
        workspace = self._where.get(key)
        locks = self._workspaces[workspace] if workspace else WorkspaceLocks()
        claim = locks.waiting.get(key)
        return claim is not None and claim.on_conflict == "wait" and locks.blocked(key)

    def open_size(self, workspace: WorkspaceId) -> OpenSize:
        """The number and size of a workspace's open claims."""
        locks = self._workspaces.get(workspace)
        return locks.size if locks else OpenSize()

    def prepare(self) -> None:
        """Build the conflict indexes now; after `restore` they are otherwise built on first use."""
        for locks in self._workspaces.values():
            locks.prepare()

    def holder_beside(self, claim: Claim) -> Grant | None:
        """The first grant of the claim's workspace that conflicts with it."""
        locks = self._workspaces.get(claim.workspace)
        return locks.holder_beside(claim) if locks else None

    def waiters(self, workspace: WorkspaceId) -> Iterator[Waiter]:
        """All waiting claims of a workspace in queue order, each with what blocks it."""
        locks = self._workspaces.get(workspace)
        return locks.waiters() if locks else iter(())

    def first_waiter(self, workspace: WorkspaceId) -> Waiter | None:
        """The claim of a workspace that has waited longest."""
        locks = self._workspaces.get(workspace)
        return locks.waiter(next(iter(locks.waiting))) if locks and locks.waiting else None

    def crowd(self, workspace: WorkspaceId) -> tuple[list[tuple[Claim, int]], Crowd]:
        """All waiting claims of a workspace with their positions, and which claims block which now."""
        locks = self._workspaces.get(workspace) or WorkspaceLocks()
        index = locks.index
        return [(claim, index.position(key)) for key, claim in locks.waiting.items()], index.crowd()

    # ------------------------------------------------------------------ snapshots

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data, for `restore`; its size depends on open claims, not on history."""
        return {
            "seq": self.seq,
            "judge": self.judge.snapshot(),
            "workspaces": {name: locks_to_json(locks) for name, locks in self._workspaces.items()},
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> LockTable:
        """The table whose state `snapshot` returned."""
        table = cls()
        table.seq = state["seq"]
        table.judge = Judge.restore(state["judge"])
        for name, stored in state["workspaces"].items():
            locks = table._workspaces[name] = locks_from_json(stored)
            for key in (*locks.waiting, *locks.void, *locks.holders):
                table._where[key] = name
        return table
