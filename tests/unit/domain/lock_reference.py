"""The promises about locks, checked on the log alone: by position, and without the lock table.

Overlap is decided here on strings and the bookkeeping is naive, so that a mistake in the table's own
bookkeeping does not repeat itself here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.log import Recorded

Key = tuple[str, int]
ENDS = ("succeeded", "failed", "canceled", "submit-failed")


@dataclass
class Wanted:
    """A claim as `dispatched` states it, and what has become of it so far."""

    key: Key
    root: str
    paths: list[str]
    mode: str
    rejects: bool
    ended: bool = False
    decided: str | None = None

    def conflicts(self, other: Wanted) -> bool:
        if self.mode == other.mode == "shared":
            return False
        if self.root != other.root or not self.paths or not other.paths:
            return True
        return any(
            f"{one}/".startswith(f"{two}/") or f"{two}/".startswith(f"{one}/")
            for one in self.paths
            for two in other.paths
        )

    @property
    def open(self) -> bool:
        """Whether it still waits for a decision."""
        return self.decided is None and not self.ended


@dataclass
class LockReference:
    """Follows the log; every method that breaks a promise raises AssertionError."""

    claims: dict[Key, Wanted] = field(default_factory=dict)
    held: dict[Key, int] = field(default_factory=dict)
    causes: dict[Key, dict[int, str]] = field(default_factory=dict)

    def follow(self, event: Recorded) -> None:
        """Take in the next event of the log."""
        if event.kind == "task":
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
            if claim.open:
                assert any(claim.conflicts(other) for other in ahead), f"{claim.key} waits without a conflict"
                assert not claim.rejects, f"{claim.key} rejects but is not decided"
                ahead.append(claim)

    def _task(self, event: Recorded) -> None:
        data = event.data
        if event.event == "dispatched":
            key = (event.subject_id, data["attempt"])
            self.claims[key] = Wanted(
                key, data["root"], data["lock_paths"], data["lock_mode"], data["on_conflict"] == "reject"
            )
            return
        key = (event.subject_id, data.get("attempt") or 0)
        if event.event in ENDS and key in self.claims:
            self.claims[key].ended = True
            self.causes.setdefault(key, {})[event.seq] = event.event
        if event.event == "lock-release-requested" and self.held.get(key) == data["token"]:
            self.causes.setdefault(key, {})[event.seq] = "operator"

    def _granted(self, key: Key, event: Recorded) -> None:
        claim = self._decide(key, "granted")
        for other in self.held:
            assert not claim.conflicts(self.claims[other]), f"{key} granted while {other} holds"
        for other_claim in self.claims.values():
            if other_claim is claim:
                break
            assert not (other_claim.open and claim.conflicts(other_claim)), (
                f"{key} overtakes {other_claim.key}"
            )
        self.held[key] = event.seq

    def _refused(self, key: Key, event: Recorded) -> None:
        claim = self._decide(key, "refused")
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

    def _decide(self, key: Key, how: str) -> Wanted:
        claim = self.claims[key]
        assert claim.decided is None, f"{key} was {claim.decided}, then {how}"
        claim.decided = how
        return claim
