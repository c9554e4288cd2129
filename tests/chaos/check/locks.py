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
    from tests.chaos.check.registrations import Registrations

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
        """Whether the two may not hold at once: by the directories, in any two workspaces."""
        if self.shared and other.shared:
            return False
        if self.workspace == other.workspace and self.root != other.root:
            return True
        ours, theirs = set(self.absolute()), set(other.absolute())
        return any(
            path[:depth] in outer
            for outer, inner in ((ours, theirs), (theirs, ours))
            for path in inner
            for depth in range(len(path) + 1)
        )

    def absolute(self) -> Iterator[tuple[str, ...]]:
        """The claimed paths from the file system's root on, as components."""
        base = tuple(part for part in self.root.split("/") if part)
        return (base + path for path in self.paths)


class Locks:
    """Feed it every event of the log in order, after `Lives`."""

    def __init__(self, verdict: Verdict, registrations: Registrations) -> None:
        self._registrations = registrations
        self.tokens: dict[Key, int] = {}
        self.wanted: dict[Key, Wanted] = {}
        self.released: dict[Key, Fact] = {}
        self.refused: dict[Key, Fact] = {}
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
            self._refuse(fact, key)

    def _grant(self, fact: Fact, key: Key, wanted: Wanted, claim: Fact | None) -> None:
        assert claim is not None
        if key in self.tokens:
            self._say(fact, "granted-twice", f"it was granted at {self.tokens[key]} already")
        told = (fact.data["paths"], fact.data["mode"], fact.data["root"])
        if told != (claim.data["lock_paths"], claim.data["lock_mode"], claim.data["root"]):
            self._say(fact, "claim", f"granted {told}, which is not what was claimed at {claim.seq}")
        if key in self._registrations.void_claims:
            self._say(fact, "void-claim", f"claimed under {wanted.root}, which was not the workspace's root")
        for workspace, other, theirs in self._valid_holders() if self._valid(fact.seq) else ():
            if other != key and wanted.conflicts(theirs):
                held = f"{theirs.paths} under {theirs.root} in {workspace}"
                self._say(fact, "two-holders", f"{other} holds {held} since {self.tokens[other]}")
        self._held.setdefault(fact.entity, {})[key] = self.wanted[key] = wanted
        self.tokens.setdefault(key, fact.seq)

    def _valid(self, token: int) -> bool:
        return token in self._registrations.valid_grants

    def _valid_holders(self) -> Iterator[tuple[str, Key, Wanted]]:
        """Holders whose claim was open when it was granted; any other grant is void and opens nothing."""
        for workspace, holders in self._held.items():
            for key, wanted in holders.items():
                if self._valid(self.tokens[key]):
                    yield workspace, key, wanted

    def _refuse(self, fact: Fact, key: Key) -> None:
        if key in self.refused:
            self._say(fact, "refused-twice", f"it was refused at {self.refused[key].seq} already")
        self.refused[key] = fact
        void, reason = key in self._registrations.void_claims, fact.data["reason"]
        if (reason == "workspace-changed") != void:
            self._say(fact, "refusal", f"{reason}, while its claim {'was void' if void else 'counted'}")

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
