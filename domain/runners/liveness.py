"""Runner liveness: when a runner counts as lost, by its last stored heartbeat and the broker's clock.

A runner counts its lease from the *sending* of an acknowledged heartbeat. The control plane counts from its
storing, which is later, and adds a grace for killing processes. A runner that counts as lost here has
therefore stopped all its processes. A heartbeat with an older counter never replaces a newer one, in any
order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from domain.errors import NotFound, Refused
from domain.identifiers import RunnerId, TaskId
from domain.protocol import MAX_HELD, Heartbeat, RunnerState

Beat = tuple[Heartbeat, datetime]

LONGEST_UNKNOWN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """`lease`: how long a heartbeat is valid; `grace`: the extra time before a runner counts as lost."""

    lease: timedelta
    grace: timedelta

    @property
    def lost_after(self) -> timedelta:
        """The age of the last heartbeat from which the runner counts as lost."""
        return self.lease + self.grace

    def state(self, last: datetime, now: datetime) -> RunnerState:
        """The state at `now` of a runner whose last heartbeat was stored at `last`."""
        age = now - last
        if age < self.lease:
            return "alive"
        return "suspected" if age < self.lost_after else "lost"


def check_counter(heartbeat: Heartbeat, last: Heartbeat | None) -> None:
    """Refuse a heartbeat older than the last one; an equal counter is a retry.

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


def check_lost(runner_id: RunnerId, last: Beat | None, now: datetime, terms: LeaseTerms) -> None:
    """Refuse to forget a runner that may live.

    Raises:
        NotFound: `runner-not-found`.
        Refused: `runner-alive`.
    """
    if last is None or last[0].gone:
        raise NotFound("runner-not-found", f"no runner {runner_id} is known; `towpath runners` lists them")
    if terms.state(last[1], now) != "lost":
        raise Refused(
            "runner-alive",
            f"runner {runner_id} on {last[0].host} may live: stop it, and it leaves by itself; if it was "
            f"killed, try again {terms.lost_after.total_seconds():g} seconds after its last heartbeat",
            {"last_heartbeat": last[1]},
        )


def check_goodbye(heartbeat: Heartbeat, last: Heartbeat | None) -> None:
    """Refuse a goodbye that comes from another instance than the last heartbeat, or under its counter.

    Raises:
        Refused: `runner-id-taken`, `counter-went-back`.
    """
    if not heartbeat.gone or last is None or last.gone:
        return
    if last.instance != heartbeat.instance:
        raise Refused(
            "runner-id-taken",
            f"the runner {last.runner_id} on {last.host} is another instance: each says goodbye for itself",
            {"host": last.host},
        )
    if heartbeat.counter == last.counter:
        raise Refused(
            "counter-went-back",
            f"counter {last.counter} was that of a heartbeat already: a goodbye needs a higher one",
            {"counter": last.counter, "host": last.host},
        )


def check_instance(heartbeat: Heartbeat, last: Beat | None, now: datetime, terms: LeaseTerms) -> None:
    """Refuse a heartbeat of another instance under this id while the last instance may be alive.

    Raises:
        Refused: `runner-id-taken`.
    """
    if last is None or last[0].instance == heartbeat.instance or last[0].gone:
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
    """The state of the runner that has an attempt, by `recent`, the last heartbeats under its id.

    If the attempt was bound (at `bound_at`) to an `instance`, only that instance's heartbeats count: a later
    runner under the same id does not have the first one's processes. None: no heartbeat was ever stored.
    """
    heard = heard_of_holder(recent, instance, bound_at)
    return terms.state(heard, now) if heard is not None else None


def heard_of_holder(recent: Sequence[Beat], instance: str | None, bound_at: datetime) -> datetime | None:
    """From when the lease of the runner that has an attempt counts; arguments as for `state_of_holder`."""
    if not recent:
        return None
    own = [at for beat, at in recent if instance is None or beat.instance == instance]
    return own[-1] if own else bound_at


def present(recent: Mapping[str, list[Beat]]) -> dict[str, list[Beat]]:
    """Of `recent`, the last heartbeats by runner id: those of runners that have not left."""
    return {runner_id: beats for runner_id, beats in recent.items() if not beats[-1][0].gone}


def in_conflict(recent: Sequence[Beat]) -> bool:
    """Whether several runners send under one id in turn. `recent`: its last heartbeats, oldest first.

    A runner that replaces another for good (as after the loss of its state directory) is no conflict.
    """
    instances = [beat.instance for beat, _ in recent]
    turns = [one for number, one in enumerate(instances) if number == 0 or instances[number - 1] != one]
    return len(turns) > len(set(turns))


@dataclass(frozen=True, slots=True, order=True)
class Sighting:
    """A heartbeat's counter and the time the broker stored it; the greatest is the newest."""

    counter: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """An attempt bound to a runner, at `bound_at` at the latest.

    If `instance` is known, only that instance's heartbeats count.
    """

    task_id: TaskId
    attempt: int
    runner_id: RunnerId | None
    bound_at: datetime
    instance: str | None = None


class Liveness(Enum):
    """The finding about an attempt's runner; LOST and FORGOTTEN end the attempt."""

    HOLDS = auto()
    """The runner is alive and lists the attempt."""
    OPEN = auto()
    """The runner is not lost, but its list cannot tell yet: it is too old, or cut at its maximum."""
    UNKNOWN = auto()
    """The runner's silence proves nothing: it never sent a heartbeat, or the broker may have dropped it."""
    LOST = auto()
    FORGOTTEN = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`look_at`: when to judge again (in the past: at once); `sighting`: what to pass in then as `known`."""

    finding: Liveness
    look_at: datetime
    sighting: Sighting | None


def judge(
    watched: Watched,
    beat: Beat | None,
    known: Sighting | None,
    now: datetime,
    terms: LeaseTerms,
    *,
    complete: bool = True,
) -> Verdict:
    """Judge the runner of an open attempt by `beat`, its last stored heartbeat.

    `complete`: whether the broker would still have a heartbeat that was stored after `known`; else that there
    is none is no silence.

    `known` is the newest heartbeat seen before; `now` is a broker time at which `beat` was the last one.
    If `beat` is of another instance than the attempt's, the attempt's instance has stopped sending: while two
    instances send in turn, the last heartbeats of both are kept.
    """
    dropped = beat is None and not complete
    others = beat is not None and watched.instance is not None and beat[0].instance != watched.instance
    if others:
        beat = None
        if known is None:
            known = Sighting(0, watched.bound_at)
    sighting = None if beat is None else Sighting(beat[0].counter, beat[1])
    # an older heartbeat, read late or from a restored stream, replaces no newer one
    if known is not None and (sighting is None or sighting < known):
        beat, sighting = None, known
    if sighting is None:
        age = max(now - watched.bound_at, terms.lost_after)
        return Verdict(Liveness.UNKNOWN, now + min(age, max(LONGEST_UNKNOWN, terms.lost_after)), None)
    # bound to a runner that was silent for long already: it gets the full time from the binding on
    silent_when_bound = sighting.at + terms.lost_after <= watched.bound_at
    lost_at = (watched.bound_at if silent_when_bound else sighting.at) + terms.lost_after
    if now >= lost_at and dropped:
        return Verdict(Liveness.UNKNOWN, now + terms.lost_after, sighting)
    if now >= lost_at:
        left = beat is not None and beat[0].leaving and not beat[0].holds(watched.task_id, watched.attempt)
        return Verdict(Liveness.FORGOTTEN if left else Liveness.LOST, now + terms.lost_after, sighting)
    # a list at its maximum may be cut, so absence from it proves nothing
    if beat is None or len(beat[0].held) >= MAX_HELD:
        return Verdict(Liveness.OPEN, lost_at, sighting)
    if beat[0].holds(watched.task_id, watched.attempt):
        return Verdict(Liveness.HOLDS, lost_at, sighting)
    # a list made before the binding may be stored after it: only a much later one counts
    if sighting.at > watched.bound_at + terms.lost_after:
        return Verdict(Liveness.FORGOTTEN, lost_at, sighting)
    return Verdict(Liveness.OPEN, lost_at, sighting)
