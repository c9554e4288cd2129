"""What a runner's last heartbeat says about an attempt it was given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Refused
from domain.protocol import MAX_HELD, Heartbeat, Held
from domain.runners.liveness import (
    Beat,
    LeaseTerms,
    Liveness,
    Sighting,
    Watched,
    check_instance,
    in_conflict,
    judge,
    present,
    state_of_holder,
)

TASK, OTHER = "01a202d4-0000-7000-8000-000000000001", "01a202d4-0000-7000-8000-000000000002"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = LeaseTerms(timedelta(seconds=15), timedelta(seconds=5))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def beat(stored: float, *held: str, counter: int = 10) -> Beat:
    listed = [Held(task_id=task_id, attempt=1) for task_id in held]
    return Heartbeat(
        runner_id="r1", pools=["default"], host="h", capacity=1, counter=counter, held=listed
    ), at(stored)


BOUND = Watched(TASK, 1, "r1", START)


@pytest.mark.parametrize(
    ("last", "now", "finding", "look_at"),
    [
        (beat(18, TASK), 20, Liveness.HOLDS, 38),
        (beat(18), 20, Liveness.OPEN, 38),
        (beat(20), 21, Liveness.OPEN, 40),
        (beat(20.1), 21, Liveness.FORGOTTEN, 40.1),
        (beat(20.1, OTHER), 21, Liveness.FORGOTTEN, 40.1),
        (beat(30, TASK), 49.9, Liveness.HOLDS, 50),
        (beat(30, TASK), 50, Liveness.LOST, 70),
        (beat(-1), 18.9, Liveness.OPEN, 19),
        (beat(-1), 19, Liveness.LOST, 39),
        (beat(-20), 19.9, Liveness.OPEN, 20),
        (beat(-20), 20, Liveness.LOST, 40),
        (None, 20, Liveness.UNKNOWN, 40),
        (None, 100, Liveness.UNKNOWN, 200),
        (None, 4000, Liveness.UNKNOWN, 4300),
    ],
)
def test_verdicts(last: Beat | None, now: float, finding: Liveness, look_at: float) -> None:
    verdict = judge(BOUND, last, None, at(now), TERMS)
    assert (verdict.finding, verdict.look_at) == (finding, at(look_at))


@pytest.mark.parametrize(
    ("complete", "finding"), [(True, Liveness.LOST), (False, Liveness.UNKNOWN)], ids=["kept", "dropped"]
)
def test_a_heartbeat_that_the_broker_may_have_dropped_is_no_silence(
    complete: bool, finding: Liveness
) -> None:
    verdict = judge(BOUND, None, Sighting(9, at(10)), at(31), TERMS, complete=complete)
    assert (verdict.finding, verdict.look_at) == (finding, at(51))
    assert judge(BOUND, None, Sighting(9, at(10)), at(20), TERMS, complete=complete).finding is Liveness.OPEN


def of(instance: str | None, one: Beat) -> Beat:
    return one[0].model_copy(update={"instance": instance}), one[1]


def leaving(one: Beat) -> Beat:
    return one[0].model_copy(update={"leaving": True}), one[1]


@given(
    stored=st.integers(-40, 40),
    now=st.integers(0, 90),
    listed=st.booleans(),
    known=st.none() | st.integers(0, 20),
)
def test_a_goodbye_shortens_nothing_and_loses_nobody(
    stored: int, now: int, listed: bool, known: int | None
) -> None:
    """Only the word changes: what its runner does not have any more is forgotten, not lost."""
    one = beat(stored, *([TASK] if listed else []))
    seen = Sighting(known, at(-5)) if known is not None else None
    plain, left = (judge(BOUND, said, seen, at(now), TERMS) for said in (one, leaving(one)))
    newer = seen is None or seen <= Sighting(one[0].counter, one[1])
    word = Liveness.FORGOTTEN if plain.finding is Liveness.LOST and newer and not listed else plain.finding
    assert (left.finding, left.look_at, left.sighting) == (word, plain.look_at, plain.sighting)


def test_an_id_is_free_once_its_runner_has_left() -> None:
    other = of("two", beat(1))[0]
    check_instance(other, leaving(of("one", beat(0))), at(1), TERMS)
    with pytest.raises(Refused, match="another runner"):
        check_instance(other, leaving(of("one", beat(0, TASK))), at(1), TERMS)


@pytest.mark.parametrize(
    ("last", "shown"), [(beat(0), True), (leaving(beat(0)), False), (leaving(beat(0, TASK)), True)]
)
def test_who_has_left_is_not_present(last: Beat, shown: bool) -> None:
    assert list(present({"r1": [beat(-1), last]})) == (["r1"] if shown else [])


def test_a_goodbye_that_crosses_with_a_submission_loses_nothing() -> None:
    """In every order of both: the attempt is refused, ends by a report, or is ended by the watchdog."""
    runner, control_plane = ("close", "compose", "store"), ("submit", "bind", "end")
    for chosen in combinations(range(6), 3):
        steps = interleaved(chosen, runner, control_plane)
        took = steps.index("submit") < steps.index("close")  # closed: 503, or left to others in the queue
        if not took:
            continue
        ended_before = steps.index("end") < steps.index("compose")  # then it is no longer held
        goodbye = leaving(beat(steps.index("store"), *([] if ended_before else [TASK])))
        bound = Watched(TASK, 1, "r1", at(steps.index("bind")))
        assert goodbye[0].gone is ended_before, "a runner that holds something is not gone"
        never_reported = judge(bound, goodbye, None, at(5 + 20), TERMS)
        assert never_reported.finding in (Liveness.LOST, Liveness.FORGOTTEN)
        early = judge(bound, goodbye, None, at(6), TERMS).finding
        assert early is (Liveness.OPEN if ended_before else Liveness.HOLDS), "its report may be on its way"


def interleaved(places: Sequence[int], first: Sequence[str], second: Sequence[str]) -> list[str]:
    ones, others = iter(first), iter(second)
    return [next(ones) if place in places else next(others) for place in range(len(first) + len(second))]


MINE = Watched(TASK, 1, "r1", START, "mine")


@pytest.mark.parametrize(
    ("last", "now", "finding", "look_at"),
    [
        (of("mine", beat(18, TASK)), 20, Liveness.HOLDS, 38),
        (of("mine", beat(20.1)), 21, Liveness.FORGOTTEN, 40.1),
        (of("other", beat(19)), 19.9, Liveness.OPEN, 20),
        (of("other", beat(30)), 30, Liveness.LOST, 50),
        (of(None, beat(30, TASK)), 30, Liveness.LOST, 50),
        (None, 20, Liveness.UNKNOWN, 40),
    ],
)
def test_an_attempt_is_judged_by_the_heartbeats_of_its_instance(
    last: Beat | None, now: float, finding: Liveness, look_at: float
) -> None:
    verdict = judge(MINE, last, None, at(now), TERMS)
    assert (verdict.finding, verdict.look_at) == (finding, at(look_at))


def test_what_was_seen_of_its_instance_counts_also_while_another_one_is_heard() -> None:
    seen, other = Sighting(10, at(30)), of("other", beat(49))
    assert judge(MINE, other, seen, at(49), TERMS).finding is Liveness.OPEN
    assert judge(MINE, other, seen, at(50), TERMS).finding is Liveness.LOST


def test_an_attempt_without_an_instance_is_judged_by_every_heartbeat() -> None:
    assert judge(BOUND, of("any", beat(18, TASK)), None, at(20), TERMS).finding is Liveness.HOLDS


@pytest.mark.parametrize(
    ("turns", "conflict"),
    [("", False), ("a", False), ("aaaa", False), ("aabb", False), ("aba", True), ("abab", True),
     ("abb", False), ("abca", True), ("abcd", False)],
)  # fmt: skip
def test_runners_that_take_turns_are_in_conflict(turns: str, conflict: bool) -> None:
    assert in_conflict([of(one, beat(number)) for number, one in enumerate(turns)]) is conflict


def test_an_id_is_taken_until_its_runner_is_lost() -> None:
    last, mine = of("first", beat(0)), of("second", beat(1))[0]
    check_instance(mine, None, at(0), TERMS)
    check_instance(last[0], last, at(0), TERMS)
    for other in (mine, mine.model_copy(update={"instance": None})):
        with pytest.raises(Refused) as refusal:
            check_instance(other, last, at(19.9), TERMS)
        assert refusal.value.code == "runner-id-taken"
        check_instance(other, last, at(20), TERMS)


def test_a_list_that_is_full_says_nothing_of_what_it_lacks() -> None:
    crowded = beat(30, *[OTHER] * MAX_HELD)
    assert judge(BOUND, crowded, None, at(31), TERMS).finding is Liveness.OPEN


def test_another_attempt_of_the_task_is_not_this_one() -> None:
    second = Watched(TASK, 2, "r1", START)
    assert judge(second, beat(30, TASK), None, at(31), TERMS).finding is Liveness.FORGOTTEN


def test_an_older_counter_neither_forgets_nor_keeps_alive() -> None:
    known = Sighting(10, at(30))
    late = beat(45, counter=9)
    assert judge(BOUND, late, known, at(46), TERMS).finding is Liveness.OPEN
    verdict = judge(BOUND, late, known, at(50), TERMS)
    assert (verdict.finding, verdict.sighting) == (Liveness.LOST, known)


def test_states() -> None:
    assert [TERMS.state(START, at(age)) for age in (0, 14.9, 15, 19.9, 20, 99)] == [
        "alive", "alive", "suspected", "suspected", "lost", "lost",
    ]  # fmt: skip


SECONDS = st.floats(-100, 1000, allow_nan=False)
BEATS = st.none() | st.builds(
    lambda stored, listed, counter: beat(stored, *([TASK] if listed else []), counter=counter),
    SECONDS,
    st.booleans(),
    st.integers(0, 20),
)
KNOWN = st.none() | st.builds(
    lambda counter, stored: Sighting(counter, at(stored)), st.integers(0, 20), SECONDS
)


@given(BEATS, KNOWN, SECONDS)
def test_only_the_newest_knowledge_ends_an_attempt(
    last: Beat | None, known: Sighting | None, now: float
) -> None:
    verdict = judge(BOUND, last, known, at(now), TERMS)
    told = Sighting(last[0].counter, last[1]) if last else None
    newest = max((one for one in (known, told) if one is not None), default=None)
    assert verdict.sighting == newest
    assert (verdict.finding is Liveness.UNKNOWN) == (newest is None)
    if verdict.finding is Liveness.LOST:
        assert newest is not None
        assert newest.at + TERMS.lost_after <= at(now)
    elif newest is not None:
        assert at(now) < verdict.look_at <= max(newest.at, START) + TERMS.lost_after
    if verdict.finding in (Liveness.FORGOTTEN, Liveness.HOLDS):
        assert last is not None
        assert newest == told
        assert last[0].holds(TASK, 1) == (verdict.finding is Liveness.HOLDS)
    if verdict.finding is Liveness.FORGOTTEN:
        assert told is not None
        assert told.at > START + TERMS.lost_after


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), min_size=1, max_size=40), st.integers(0, 39))
def test_a_runner_that_beats_on_and_lists_it_is_never_ended(
    beats: list[tuple[float, bool]], looks: int
) -> None:
    """Heartbeats at most a third of a lease apart; whenever one looks, the attempt goes on."""
    stored, last = 0.0, beat(0.0, TASK, counter=0)
    for counter, (pause, look) in enumerate(beats):
        stored += pause
        if look or counter == looks:
            assert judge(BOUND, last, None, at(stored), TERMS).finding is Liveness.HOLDS
        last = beat(stored, TASK, counter=counter)


def test_of_two_runners_with_one_id_an_attempt_has_the_state_of_its_own() -> None:
    def sent(stored: float, instance: str) -> Beat:
        one, when = beat(stored)
        return one.model_copy(update={"instance": instance}), when

    def state(recent: list[Beat], instance: str | None, now: float) -> str | None:
        return state_of_holder(recent, instance, START, at(now), TERMS)

    both = [sent(1, "mine"), sent(30, "other")]
    assert [state(both, "mine", now) for now in (15, 16, 21)] == ["alive", "suspected", "lost"]
    assert (state(both, "other", 31), state(both, None, 31)) == ("alive", "alive")
    later = [sent(30, "other")]
    assert [state(later, "mine", now) for now in (10, 15, 31)] == ["alive", "suspected", "lost"]
    assert state([], "mine", 99) is None
