"""The promises about locks, checked on the log alone: by position, and without the lock table.

Overlap is decided here on strings and the bookkeeping is naive, so that a mistake in the table's own
bookkeeping does not repeat itself here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.log.record import Recorded

Key = tuple[str, int]
ENDS = ("succeeded", "failed", "canceled", "submit-failed")


@dataclass
class Wanted:
    """A claim as `dispatched` states it, and what has become of it so far."""

    key: Key
    workspace: str
    root: str
    paths: list[str]
    mode: str
    rejects: bool
    void: bool = False
    ended: bool = False
    decided: str | None = None
    granted_in_time: bool = False
    released: bool = False

    def conflicts(self, other: Wanted) -> bool:
        """Whether the two mean the same files, and not both only read them."""
        if self.mode == other.mode == "shared":
            return False
        return any(_overlap(one, two) for one in self.files for two in other.files)

    @property
    def files(self) -> list[str]:
        return [f"{self.root}/{path}" for path in self.paths] or [self.root]

    @property
    def waits(self) -> bool:
        """Whether it still waits for a decision that may be a grant."""
        return self.decided is None and not self.ended and not self.void

    @property
    def open(self) -> bool:
        """Whether its workspace must stay where it is."""
        return self.waits or (self.granted_in_time and not self.released)


@dataclass
class LockReference:
    """Follows the log; every method that breaks a promise raises AssertionError."""

    roots: dict[str, str] = field(default_factory=dict)
    void: set[int] = field(default_factory=set)
    claims: dict[Key, Wanted] = field(default_factory=dict)
    held: dict[Key, int] = field(default_factory=dict)
    causes: dict[Key, dict[int, str]] = field(default_factory=dict)

    def follow(self, event: Recorded) -> None:
        """Take in the next event of the log."""
        if event.kind == "workspace":
            self._workspace(event)
        elif event.kind == "task":
            self._task(event)
        elif event.kind == "lock":
            key = (event.data["task_id"], event.data["attempt"])
            {"granted": self._granted, "refused": self._refused, "released": self._released}[event.event](
                key, event
            )

    def holding(self, key: Key) -> int | None:
        """The fencing token of an attempt that holds its claim."""
        return self.held.get(key)

    def settled(self) -> None:
        """What must be true once nobody has anything left to append."""
        for key in self.held:
            assert not self.claims[key].ended, f"{key} still holds though its attempt ended"
            assert "operator" not in self.causes.get(key, {}).values(), f"{key} was to be released by hand"
        ahead: list[Wanted] = [self.claims[key] for key in self.held]
        for claim in self.claims.values():
            assert not claim.void or claim.ended or claim.decided, f"{claim.key} is void and not refused"
            if claim.waits:
                assert any(claim.conflicts(other) for other in ahead), f"{claim.key} waits without a conflict"
                assert not claim.rejects, f"{claim.key} rejects but is not decided"
                ahead.append(claim)

    def _workspace(self, event: Recorded) -> None:
        workspace = event.subject_id
        root = event.data["root"] if event.event == "registered" else None
        in_use = any(claim.open and claim.workspace == workspace for claim in self.claims.values())
        now = self.roots.get(workspace)
        taken = root is not None and any(
            _overlap(root, other) for name, other in self.roots.items() if name != workspace
        )
        if taken or (in_use and root != now):
            self.void.add(event.seq)
        elif root is None:
            self.roots.pop(workspace, None)
        else:
            self.roots[workspace] = root

    def _task(self, event: Recorded) -> None:
        data = event.data
        if event.event == "dispatched":
            key = (event.subject_id, data["attempt"])
            claim = self.claims[key] = Wanted(
                key,
                data["workspace"],
                data["root"],
                data["lock_paths"],
                data["lock_mode"],
                data["on_conflict"] == "reject",
            )
            claim.void = self.roots.get(claim.workspace) != claim.root
            if claim.void:
                self.void.add(event.seq)
            return
        key = (event.subject_id, data.get("attempt") or 0)
        if event.event in ENDS and key in self.claims:
            self.claims[key].ended = True
            self.causes.setdefault(key, {})[event.seq] = event.event
        if event.event == "lock-release-requested" and self.held.get(key) == data["token"]:
            self.causes.setdefault(key, {})[event.seq] = "operator"

    def _granted(self, key: Key, event: Recorded) -> None:
        claim = self._decide(key, "granted")
        assert not claim.void, f"{key} is void and granted"
        claim.granted_in_time = not claim.ended
        for other in self.held if claim.granted_in_time else ():
            assert not claim.conflicts(self.claims[other]), f"{key} granted while {other} holds"
        for other_claim in self.claims.values():
            if other_claim is claim:
                break
            same = other_claim.workspace == claim.workspace
            assert not (same and other_claim.waits and claim.conflicts(other_claim)), (
                f"{key} overtakes {other_claim.key}"
            )
        self.held[key] = event.seq

    def _refused(self, key: Key, event: Recorded) -> None:
        claim = self._decide(key, "refused")
        assert event.data["reason"] == ("workspace-changed" if claim.void else "workspace-locked")
        if claim.void:
            assert event.data["holders"] == []
            assert event.data["valid_root"] != claim.root
            return
        assert claim.rejects, f"{key} was refused but would have waited"
        for holder in event.data["holders"]:
            other = (holder["task_id"], holder["attempt"])
            assert claim.conflicts(self.claims[other])
            assert holder["token"] == self.held.get(other)
        assert event.data["holders"], f"{key} was refused without a conflict"

    def _released(self, key: Key, event: Recorded) -> None:
        assert key in self.held, f"{key} released but does not hold"
        cause = self.causes.get(key, {}).get(event.data["cause_seq"])
        assert cause == event.data["cause"], f"{key} released by {event.data['cause']}, not its own"
        del self.held[key]
        self.claims[key].released = True

    def _decide(self, key: Key, how: str) -> Wanted:
        claim = self.claims[key]
        assert claim.decided is None, f"{key} was {claim.decided}, then {how}"
        claim.decided = how
        return claim


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
