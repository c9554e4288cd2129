"""Claims (waiting), grants (holding) and the lock facts that a lock table decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from domain.log.events import EventData, OnConflict
from domain.protocol import LockMode
from domain.workspaces.paths import components, paths_overlap

FIRST_CHAIN = "0" * 64
Key = tuple[str, int]


class Claim(NamedTuple):
    """What one attempt wants locked. `seq` is its `dispatched` sequence: the order of waiting.

    `traceparent` is that of `dispatched`: facts about the claim belong to the same trace. A tuple, for each
    fold makes one of each attempt of the log.
    """

    task_id: str
    attempt: int
    workspace: str
    root: str
    paths: tuple[str, ...]
    mode: LockMode
    on_conflict: OnConflict
    seq: int
    since: str
    traceparent: str | None = None

    @property
    def key(self) -> Key:
        """Claims are told apart by task and attempt."""
        return (self.task_id, self.attempt)

    def conflicts(self, other: Claim) -> bool:
        """The definition: whether the two may not hold at once. Claims under different roots always conflict.

        The conflict index decides by this rule without comparing pairs; tests hold one against the other.
        """
        if self.mode == "shared" and other.mode == "shared":
            return False
        if self.root != other.root:
            return True
        return paths_overlap(map(components, self.paths), map(components, other.paths))


class Owed(NamedTuple):
    """Why a release is owed: the event that ended the attempt or `operator`, where it stands, by whom."""

    cause: str
    seq: int
    by: str


@dataclass(frozen=True, slots=True)
class VoidClaim:
    """The claim of a void `dispatched`: its `refused` is owed. `valid_root`: its workspace's root there."""

    claim: Claim
    valid_root: str | None


@dataclass(frozen=True, slots=True)
class EndedClaim:
    """A claim whose attempt ended undecided; a grant or refusal may have crossed with the end."""

    claim: Claim
    owed: Owed
    void: VoidClaim | None = None
    """Set where its `dispatched` was void."""


@dataclass(slots=True)
class Grant:
    """A claim that holds. `token` is the grant's stream sequence; `owed` is set once it must go.

    `instance`: which of the runners called `runner_id` has it, where that said so, since `bound_at`. `turn`
    orders the grants of a workspace.
    """

    claim: Claim
    token: int
    since: str
    owed: Owed | None = None
    runner_id: str | None = None
    instance: str | None = None
    bound_at: str | None = None
    turn: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class LockFact:
    """What to append next for a workspace, and what the append must find: its last lock fact."""

    workspace: str
    event: str
    data: EventData
    expected_seq: int
    version: int
    previous_chain: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Waiter:
    """A claim that waits: its place (1 = next), the first tasks in its way, and how many claims are."""

    claim: Claim
    position: int
    blocked_by: tuple[str, ...]
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
    return state


def claim_from_json(state: dict[str, Any]) -> Claim:
    """The claim that `claim_to_json` described."""
    return Claim(**{**state, "paths": tuple(state["paths"])})
