"""Item 3: conflicting holders are disjoint by sequence, and each release has its cause.

An interval of a lock is from its `granted` to its `released`, both recomputed from the raw facts. The claim
is taken from the attempt's `dispatched`, not from what the grant says of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.check.verdict import Verdict
from tests.chaos.raw_log import Fact

if TYPE_CHECKING:
    from tests.chaos.check.lives import Lives

Key = tuple[str, int]
ENDS = ("succeeded", "failed", "canceled", "submit-failed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an attempt claims: paths as components, () is the whole root."""

    workspace: str
    root: str
    paths: tuple[tuple[str, ...], ...]
    shared: bool

    @classmethod
    def of(cls, dispatched: Fact) -> Wanted | None:
        """The claim of a `dispatched`; None without a workspace."""
        data = dispatched.data
        if data["workspace"] is None:
            return None
        paths = tuple(tuple(path.split("/")) for path in data["lock_paths"]) or ((),)
        return cls(data["workspace"], data["root"], paths, data["lock_mode"] == "shared")

    def conflicts(self, other: Wanted) -> bool:
        """Whether the two may not hold at once; under different roots they always overlap."""
        if self.workspace != other.workspace or (self.shared and other.shared):
            return False
        if self.root != other.root:
            return True
        return any(
            a[: min(len(a), len(b))] == b[: min(len(a), len(b))] for a in self.paths for b in other.paths
        )


class Locks:
    """Feed it every event of the log in order, after `Lives`."""

    def __init__(self, verdict: Verdict) -> None:
        self.tokens: dict[Key, int] = {}
        self.wanted: dict[Key, Wanted] = {}
        self.released: dict[Key, Fact] = {}
        self.refused: set[Key] = set()
        self._verdict = verdict
        self._held: dict[str, dict[Key, Wanted]] = {}

    def held(self) -> Iterator[Key]:
        """Who holds a lock now."""
        for holders in self._held.values():
            yield from holders

    def see(self, fact: Fact, lives: Lives) -> None:
        """Check one event against all before it."""
        if fact.kind != "lock":
            return
        key = (fact.data["task_id"], fact.data["attempt"])
        claim = lives.claims.get(key)
        wanted = Wanted.of(claim) if claim is not None else None
        if wanted is None or wanted.workspace != fact.entity:
            self._say(fact, "claim", "no such claim was made before")
            return
        if fact.name == "granted":
            self._grant(fact, key, wanted, claim)
        elif fact.name == "released":
            self._release(fact, key, lives)
        else:
            self.refused.add(key)

    def _grant(self, fact: Fact, key: Key, wanted: Wanted, claim: Fact | None) -> None:
        assert claim is not None
        if key in self.tokens:
            self._say(fact, "granted-twice", f"it was granted at {self.tokens[key]} already")
        told = (fact.data["paths"], fact.data["mode"], fact.data["root"])
        if told != (claim.data["lock_paths"], claim.data["lock_mode"], claim.data["root"]):
            self._say(fact, "claim", f"granted {told}, which is not what was claimed at {claim.seq}")
        holders = self._held.setdefault(fact.entity, {})
        for other, theirs in holders.items():
            if other != key and wanted.conflicts(theirs):
                self._say(fact, "two-holders", f"{other} holds {theirs.paths} since {self.tokens[other]}")
        holders[key], self.wanted[key] = wanted, wanted
        self.tokens.setdefault(key, fact.seq)

    def _release(self, fact: Fact, key: Key, lives: Lives) -> None:
        if self._held.get(fact.entity, {}).pop(key, None) is None:
            self._say(fact, "not-held", "nothing was held")
            return
        self.released[key] = fact
        cause, cause_seq = fact.data["cause"], fact.data["cause_seq"]
        if cause == "operator":
            life = lives.at.get(cause_seq)
            asked = life is not None and life.release_requested and (life.task, life.attempt) == key
            if not asked:
                self._say(fact, "cause", f"no operator asked for it at {cause_seq}")
            return
        end = lives.ends.get(key)
        if end is None:
            self._say(fact, "cause", f"released for {cause!r} at {cause_seq}, but the attempt has not ended")
        elif cause == "void":
            if end.seq > self.tokens[key]:
                self._say(fact, "cause", "called void, but its attempt was open when it was granted")
        elif (cause, cause_seq) != (end.name, end.seq) or cause not in ENDS:
            self._say(
                fact, "cause", f"released for {cause!r} at {cause_seq}, but it ended {end.name} at {end.seq}"
            )

    def _say(self, fact: Fact, rule: str, what: str) -> None:
        who = f"{fact.data['task_id']} attempt {fact.data['attempt']}"
        self._verdict.add(3, rule, f"{fact.seq} {fact.name} in {fact.entity} for {who}: {what}")
