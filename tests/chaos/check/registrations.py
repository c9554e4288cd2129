"""Which root each workspace means at each position, and which claims are open, by the contract alone.

Every `registered`, `removed` and `dispatched` counts or is void by what stands before it in the log. A root
may not overlap another workspace's; a workspace with an open claim neither moves nor goes; a claim under
another root than the workspace's own is void. A claim is open from its `dispatched` until its attempt ends or
it is refused, and, once granted while open, until its `released`.
"""

from __future__ import annotations

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.verdict import Verdict
from tests.chaos.raw_log import Fact

Key = tuple[str, int]
ENDS = ("succeeded", "failed", "canceled", "submit-failed")


def overlap(one: str, other: str) -> bool:
    """Whether two directories are the same or one is inside the other."""
    a, b = _components(one), _components(other)
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


class Registrations:
    """Feed it every event of the log in order, before whatever asks it about that event."""

    def __init__(self) -> None:
        self.roots: dict[str, str] = {}
        self.registered: dict[int, tuple[str, str]] = {}
        self.void_claims: set[Key] = set()
        self.void_registrations: set[int] = set()
        self.valid_grants: set[int] = set()
        self._waiting: dict[Key, str] = {}
        self._holding: dict[Key, str] = {}

    def see(self, fact: Fact) -> None:
        """Judge one event on all before it, then apply it if it counts."""
        if fact.kind == "workspace":
            self._register(fact)
        elif fact.kind == "lock":
            self._lock(fact, (fact.data["task_id"], fact.data["attempt"]))
        elif fact.name == "dispatched":
            self._claim(fact)
        elif fact.name in ENDS and fact.attempt is not None:
            self._waiting.pop((fact.entity, fact.attempt), None)

    def is_open(self, workspace: str) -> bool:
        """Whether a claim of the workspace waits or holds."""
        return workspace in self._waiting.values() or workspace in self._holding.values()

    def _register(self, fact: Fact) -> None:
        workspace, root = fact.entity, fact.data.get("root")
        moves = self.roots.get(workspace, root) != root
        taken = root is not None and any(
            other != workspace and overlap(theirs, root) for other, theirs in self.roots.items()
        )
        if taken or (moves and self.is_open(workspace)):
            self.void_registrations.add(fact.seq)
        elif root is None:
            self.roots.pop(workspace, None)
        else:
            self.roots[workspace] = root
            self.registered[fact.seq] = (workspace, root)

    def _claim(self, fact: Fact) -> None:
        workspace, key = fact.data["workspace"], (fact.entity, fact.data["attempt"])
        if workspace is None:
            return
        if self.roots.get(workspace) == fact.data["root"]:
            self._waiting[key] = workspace
        else:
            self.void_claims.add(key)

    def _lock(self, fact: Fact, key: Key) -> None:
        if fact.name == "granted":
            if self._waiting.pop(key, None) is not None:
                self._holding[key] = fact.entity
                self.valid_grants.add(fact.seq)
        elif fact.name == "refused":
            self._waiting.pop(key, None)
        else:
            self._holding.pop(key, None)


def check_registrations(evidence: Evidence, registrations: Registrations, verdict: Verdict) -> None:
    """What was answered with 2xx counts at its position, and in the end every API shows what counts."""
    for line in evidence.registrations:
        told = (line["workspace"], line["root"])
        if line["outcome"] == "ok" and "seq" in line and registrations.registered.get(line["seq"]) != told:
            stands = registrations.registered.get(line["seq"], "none that counts")
            verdict.add(
                1, "registration", f"{told} was answered with sequence {line['seq']}; there stands {stands}"
            )
    for line in evidence.workspaces:
        if line["roots"] != registrations.roots:
            what = f"{line['api']} shows {line['roots']}, by the log {registrations.roots}"
            verdict.add(5, "workspaces", what)
