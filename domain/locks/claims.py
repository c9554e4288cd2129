"""Claims (waiting), grants (holding), and lock facts: the events that the lock table decides to append."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from domain.identifiers import FencingToken, LogSeq, RunnerId, TaskId, WorkspaceId
from domain.log.events import EventData, OnConflict
from domain.protocol import LockMode
from domain.workspaces.paths import components, paths_overlap

FIRST_CHAIN = "0" * 64
Key = tuple[TaskId, int]


class Claim(NamedTuple):
    """What one attempt wants locked. `seq` is the sequence of its `dispatched`, which orders the queue.

    `traceparent` is that of `dispatched`, so that lock facts join its trace. A claim that still waits after
    `wait_seconds` gives up. A named tuple, because it is cheap and every fold makes one for each attempt in
    the log.
    """

    task_id: TaskId
    attempt: int
    workspace: WorkspaceId
    root: str
    paths: tuple[str, ...]
    mode: LockMode
    on_conflict: OnConflict
    seq: LogSeq
    since: str
    traceparent: str | None = None
    wait_seconds: float | None = None

    @property
    def key(self) -> Key:
        """Task and attempt, which identify a claim."""
        return (self.task_id, self.attempt)

    def conflicts(self, other: Claim) -> bool:
        """Whether the two must not hold at once. Claims under different roots always conflict.

        This is the definition. The conflict index implements it without comparing pairs; tests compare the
        two.
        """
        if self.mode == "shared" and other.mode == "shared":
            return False
        if self.root != other.root:
            return True
        return paths_overlap(map(components, self.paths), map(components, other.paths))


class Owed(NamedTuple):
    """Why a release is owed: the event that ended the attempt, or `operator`; its sequence; its actor."""

    cause: str
    seq: LogSeq
    by: str


@dataclass(frozen=True, slots=True)
class VoidClaim:
    """The claim of a void `dispatched`; its `refused` is owed. `valid_root`: the workspace's root there."""

    claim: Claim
    valid_root: str | None


@dataclass(frozen=True, slots=True)
class EndedClaim:
    """A claim whose attempt ended before it was decided; a grant or refusal may be appended concurrently."""

    claim: Claim
    owed: Owed
    void: VoidClaim | None = None
    """Set if its `dispatched` was void."""


@dataclass(slots=True)
class Grant:
    """A claim that holds. `token`, the fencing token, is the grant's sequence; `owed` is set once its
    release is due.

    `runner_id` (and `instance`, if the runner sends one) has the attempt since `bound_at`. `turn` orders the
    grants of a workspace.
    """

    claim: Claim
    token: FencingToken
    since: str
    owed: Owed | None = None
    runner_id: RunnerId | None = None
    instance: str | None = None
    bound_at: str | None = None
    turn: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class LockFact:
    """The lock event to append next for a workspace, with the sequence that its compare-and-set expects."""

    workspace: WorkspaceId
    event: str
    data: EventData
    expected_seq: LogSeq
    version: int
    previous_chain: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting claim: its position (1 = next), the first tasks that block it, and how many claims do."""

    claim: Claim
    position: int
    blocked_by: tuple[TaskId, ...]
    in_the_way: int


def claim_to_json(claim: Claim) -> dict[str, Any]:
    """A claim as plain data, for a snapshot."""
    state = {
        "task_id": claim.task_id,
        "attempt": claim.attempt,
        "workspace": claim.workspace,
        "root": claim.root,
        "paths": list(claim.paths),
        "mode": claim.mode,
        "on_conflict": claim.on_conflict,
        "seq": claim.seq,
        "since": claim.since,
    }
    if claim.traceparent is not None:
        state["traceparent"] = claim.traceparent
    if claim.wait_seconds is not None:
        state["wait_seconds"] = claim.wait_seconds
    return state


def claim_from_json(state: dict[str, Any]) -> Claim:
    """The claim that `claim_to_json` wrote."""
    return Claim(**{**state, "paths": tuple(state["paths"])})
