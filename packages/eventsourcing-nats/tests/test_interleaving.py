"""Two writers in any order: nothing is lost, nothing comes twice, every version has one winner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from eventsourcing.persistence import IntegrityError, StoredEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsourcing_nats import NatsFactory
from nats_settings import Nats

ORIGINATORS = ("a", "b", "c")


class Step(NamedTuple):
    """A save: how many events of which originators, decided on what was read, or on what it remembers."""

    writer: int
    counts: tuple[int, ...]
    reads_first: bool


steps = st.builds(
    Step,
    st.integers(0, 1),
    st.tuples(*[st.integers(0, 3)] * len(ORIGINATORS)).filter(any),
    st.booleans(),
)


class Writer:
    """An application with a memory of versions that may be old; it keeps what was acknowledged."""

    def __init__(self, factory: NatsFactory, name: str) -> None:
        self.recorder = factory.application_recorder()
        self.name = name
        self.known = dict.fromkeys(ORIGINATORS, 0)
        self.acknowledged: dict[int, StoredEvent] = {}
        self.refused: list[StoredEvent] = []

    def take(self, step: Step) -> None:
        if step.reads_first:
            for originator in ORIGINATORS:
                last = self.recorder.select_events(originator, desc=True, limit=1)
                self.known[originator] = last[0].originator_version if last else 0
        saved = len(self.acknowledged) + len(self.refused)
        events = [
            StoredEvent(originator, self.known[originator] + i, "t:E", f"{self.name} {saved}".encode())
            for originator, count in zip(ORIGINATORS, step.counts, strict=True)
            for i in range(1, count + 1)
        ]
        try:
            ids = self.recorder.insert_events(events)
        except IntegrityError:
            self.refused += events
            return
        assert ids is not None
        self.acknowledged |= dict(zip(ids, events, strict=True))
        for event in events:
            self.known[event.originator_id] = event.originator_version


def check(writers: list[Writer]) -> None:
    """What is stored is exactly what was acknowledged, and each originator's versions have no holes."""
    first, second = writers
    assert not first.acknowledged.keys() & second.acknowledged.keys()
    wanted = first.acknowledged | second.acknowledged
    stored = first.recorder.select_notifications(None, 10_000)
    assert [one.id for one in stored] == list(range(1, len(wanted) + 1))
    for one in stored:
        event = StoredEvent(one.originator_id, one.originator_version, one.topic, one.state)
        assert wanted[one.id] == event
    for originator in ORIGINATORS:
        events = second.recorder.select_events(originator)
        assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
        mine = [event for event in wanted.values() if event.originator_id == originator]
        assert sorted(mine, key=lambda event: event.originator_version) == list(events)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=st.lists(steps, min_size=1, max_size=12))
def test_one_after_the_other_in_any_order(nats: Nats, plan: list[Step]) -> None:
    env = nats.settings()
    factories = [NatsFactory(env), NatsFactory(env)]
    writers = [Writer(factory, str(number)) for number, factory in enumerate(factories)]
    for step in plan:
        writers[step.writer].take(step)
    check(writers)
    for factory in factories:
        factory.close()


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plans=st.lists(st.lists(steps, min_size=5, max_size=15), min_size=2, max_size=2))
def test_both_at_once(nats: Nats, plans: list[list[Step]]) -> None:
    env = nats.settings()
    factories = [NatsFactory(env), NatsFactory(env)]
    writers = [Writer(factory, str(number)) for number, factory in enumerate(factories)]

    def run(writer: Writer, plan: list[Step]) -> None:
        for step in plan:
            writer.take(step)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(run, *pair) for pair in zip(writers, plans, strict=True)]:
            done.result(60)
    check(writers)
    for factory in factories:
        factory.close()
