"""Runner liveness: when a runner counts as lost, by its last stored heartbeat and the broker's clock.

A runner's own lease runs from the *sending* of an acknowledged heartbeat, the control plane's from its
storing, which is later, and it adds a grace for the killing. So a runner that is lost here has long stopped
whatever it ran. Older counters never replace what a newer one has said, in whatever order they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Literal

from domain.errors import Refused
from domain.protocol import MAX_HELD, Heartbeat

RunnerState = Literal["alive", "suspected", "lost"]
Beat = tuple[Heartbeat, datetime]

LONGEST_UNKNOWN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """`lease`: how long a heartbeat lasts; `grace`: what is added before a runner is given up."""

    lease: timedelta
    grace: timedelta

    @property
    def lost_after(self) -> timedelta:
        """How old a last heartbeat must be for its runner to be lost."""
        return self.lease + self.grace

    def state(self, last: datetime, now: datetime) -> RunnerState:
        """What a last heartbeat stored at `last` says of its runner at `now`."""
        age = now - last
        if age < self.lease:
            return "alive"
        return "suspected" if age < self.lost_after else "lost"


def check_counter(heartbeat: Heartbeat, last: Heartbeat | None) -> None:
    """Let no older heartbeat replace a newer one; the same counter again is the same one, sent again.

    Raises:
        Refused: `counter-went-back`.
    """
    if last is not None and heartbeat.counter < last.counter:
        raise Refused(
            "counter-went-back",
            f"counter {heartbeat.counter} comes after {last.counter} of {last.runner_id} on {last.host}: "
            "give every runner an id of its own, and let its counter rise also across restarts (a time in "
            "milliseconds will do)",
            {"counter": last.counter, "host": last.host},
        )


def check_instance(heartbeat: Heartbeat, last: Beat | None, now: datetime, terms: LeaseTerms) -> None:
    """Let no other runner take an id whose runner may live.

    Raises:
        Refused: `runner-id-taken`.
    """
    if last is None or last[0].instance == heartbeat.instance:
        return
    if terms.state(last[1], now) != "lost":
        raise Refused(
            "runner-id-taken",
            f"another runner on {last[0].host} has the id {heartbeat.runner_id}: give each an id "
            "(TOWPATH_RUNNER_ID) and a state directory of its own. If that one is gone, or has lost its "
            f"state directory, the id is free {terms.lost_after.total_seconds():g} seconds after its last "
            "heartbeat",
            {"host": last[0].host, "last_heartbeat": last[1]},
        )


def state_of_holder(
    recent: Sequence[Beat], instance: str | None, bound_at: datetime, now: datetime, terms: LeaseTerms
) -> RunnerState | None:
    """What `recent`, the last heartbeats under its runner's id, say of the runner that has an attempt.

    Only those of `instance` count, where the attempt was bound to one at `bound_at`: another runner that has
    followed under the same id has nothing of what that one started. None: no heartbeat has ever come.
    """
    if not recent:
        return None
    own = [at for beat, at in recent if instance is None or beat.instance == instance]
    return terms.state(own[-1] if own else bound_at, now)


def in_conflict(recent: Sequence[Beat]) -> bool:
    """Whether several runners take turns under one id. `recent`: its last heartbeats, oldest first.

    One that follows another for good (its state directory was lost) is no conflict.
    """
    instances = [beat.instance for beat, _ in recent]
    turns = [one for number, one in enumerate(instances) if number == 0 or instances[number - 1] != one]
    return len(turns) > len(set(turns))


@dataclass(frozen=True, slots=True, order=True)
class Sighting:
    """A heartbeat's counter, and when the broker stored it; the greatest is the newest."""

    counter: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """An attempt of a runner. `bound_at`: when it was the runner's at the latest.

    `instance`: which of several with this id, where it said so; only its heartbeats count then.
    """

    task_id: str
    attempt: int
    runner_id: str
    bound_at: datetime
    instance: str | None = None


class Liveness(Enum):
    """What is known of an attempt's runner; LOST and FORGOTTEN end the attempt."""

    HOLDS = auto()
    """It lives and lists the attempt."""
    OPEN = auto()
    """It lives, and it is too early to expect the attempt in its list, or the list is cut."""
    UNKNOWN = auto()
    """It has never sent a heartbeat: nothing follows from its silence."""
    LOST = auto()
    FORGOTTEN = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`look_at`: when to look again (in the past: at once); `sighting`: what to remember until then."""

    finding: Liveness
    look_at: datetime
    sighting: Sighting | None


def judge(
    watched: Watched, beat: Beat | None, known: Sighting | None, now: datetime, terms: LeaseTerms
) -> Verdict:
    """What `beat`, the runner's last stored heartbeat, says of a bound attempt that has not ended.

    `known` is the newest heartbeat seen before; `now` a time of the broker at which `beat` was the last one.
    Where `beat` is of another instance than the attempt's, that one has fallen silent: of two that take turns
    the last heartbeats of both are kept.
    """
    others = beat is not None and watched.instance is not None and beat[0].instance != watched.instance
    if others:
        beat = None
        if known is None:
            known = Sighting(0, watched.bound_at)
    sighting = None if beat is None else Sighting(beat[0].counter, beat[1])
    if known is not None and (sighting is None or sighting < known):
        beat, sighting = None, known
    if sighting is None:
        age = max(now - watched.bound_at, terms.lost_after)
        return Verdict(Liveness.UNKNOWN, now + min(age, max(LONGEST_UNKNOWN, terms.lost_after)), None)
    silent_when_bound = sighting.at + terms.lost_after <= watched.bound_at
    lost_at = (watched.bound_at if silent_when_bound else sighting.at) + terms.lost_after
    if now >= lost_at:
        return Verdict(Liveness.LOST, now + terms.lost_after, sighting)
    if beat is None or len(beat[0].held) >= MAX_HELD:
        return Verdict(Liveness.OPEN, lost_at, sighting)
    if beat[0].holds(watched.task_id, watched.attempt):
        return Verdict(Liveness.HOLDS, lost_at, sighting)
    if sighting.at > watched.bound_at + terms.lost_after:
        return Verdict(Liveness.FORGOTTEN, lost_at, sighting)
    return Verdict(Liveness.OPEN, lost_at, sighting)
