"""The order of all events: pages, topics, tracking between them, and subscriptions across connections."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from uuid import uuid4

import pytest
from eventsourcing.application import Application, ProcessingEvent
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import IntegrityError, ProgrammingError, StoredEvent, Tracking
from eventsourcing.projection import EventSourcedProjection, EventSourcedProjectionRunner
from eventsourcing.utils import Environment

from eventsourcing_nats import NatsFactory
from nats_settings import Nats


@pytest.fixture
def factory(nats: Nats) -> Iterator[NatsFactory]:
    made = nats.factory("Shop")
    yield made
    made.close()


def events(count: int, topic: str = "shop:Event") -> list[StoredEvent]:
    return [StoredEvent(uuid4(), 1, topic, b"state") for _ in range(count)]


def test_ids_have_no_gaps_and_pages_no_holes(factory: NatsFactory) -> None:
    recorder = factory.application_recorder()
    for expected in range(1, 1201, 300):
        assert recorder.insert_events(events(300)) == list(range(expected, expected + 300))
    everything = recorder.select_notifications(None, 10_000)
    assert [one.id for one in everything] == list(range(1, 1201))
    pages = [recorder.select_notifications(start, 70, stop=1100) for start in range(1, 1200, 70)]
    assert list(itertools.chain(*pages)) == list(everything[:1100])
    assert recorder.select_notifications(1201, 10) == []
    assert recorder.select_notifications(1, 0) == []


def test_a_page_of_a_rare_topic_looks_as_far_as_needed(factory: NatsFactory) -> None:
    recorder = factory.application_recorder()
    for _ in range(2):
        recorder.insert_events([*events(700), *events(1, "shop:Rare")])
    found = recorder.select_notifications(1, 2, topics=["shop:Rare"])
    assert [one.id for one in found] == [701, 1402]
    assert recorder.select_notifications(702, 5, stop=1401, topics=["shop:Rare"]) == []


def test_a_process_recorder_passes_over_its_tracking_records(factory: NatsFactory) -> None:
    recorder = factory.process_recorder()
    recorder.insert_events(events(2), tracking=Tracking("upstream", 5))
    recorder.insert_tracking(Tracking("upstream", 6))
    recorder.insert_events([], tracking=Tracking("upstream", 7))
    found = recorder.select_notifications(1, 10)
    assert len(found) == 2
    assert recorder.max_notification_id() == found[-1].id
    assert recorder.max_tracking_id("upstream") == 7
    with pytest.raises(IntegrityError):
        recorder.insert_events(events(1), tracking=Tracking("upstream", 7))
    assert recorder.insert_events(events(1), tracking=Tracking("other", 1)) == [7]
    assert [one.id for one in recorder.select_notifications(1, 10)] == [2, 3, 7]


def test_tracking_alone_keeps_the_last_position_only(nats: Nats) -> None:
    settings = nats.settings()
    one, other = (NatsFactory(Environment("View", settings)).tracking_recorder() for _ in range(2))
    for position in range(1, 30):
        (one if position % 2 else other).insert_tracking(Tracking("upstream", position))
    with pytest.raises(IntegrityError):
        one.insert_tracking(Tracking("upstream", 29))
    assert other.max_tracking_id("upstream") == 29


def test_a_subscription_sees_what_another_connection_writes(nats: Nats) -> None:
    settings = nats.settings()
    reader, writer = NatsFactory(settings), NatsFactory(settings)
    recorder = writer.application_recorder()
    recorder.insert_events(events(3))
    with reader.application_recorder().subscribe(gt=1) as subscription:
        assert [next(subscription).id for _ in range(2)] == [2, 3]
        for number in range(4, 30):
            recorder.insert_events(events(1))
            assert next(subscription).id == number
    reader.close()
    writer.close()


def test_a_subscription_ends_when_its_factory_is_closed(factory: NatsFactory) -> None:
    recorder = factory.application_recorder()
    with recorder.subscribe() as subscription:
        recorder.insert_events(events(1))
        assert next(subscription).id == 1
        factory.close()
        with pytest.raises(ProgrammingError, match="closed"):
            next(subscription)


class Copies(EventSourcedProjection):
    """Makes an aggregate for every event of another application."""

    def policy(self, domain_event: object, processing_event: ProcessingEvent) -> None:
        processing_event.collect_events(Aggregate())


def test_a_projection_with_an_event_store_of_its_own_processes_each_event_once(nats: Nats) -> None:
    env = nats.settings()
    with EventSourcedProjectionRunner(
        application_class=Application, projection_class=Copies, env=env
    ) as runner:
        for _ in range(5):
            recordings = runner.app.save(Aggregate(), Aggregate())
            runner.wait(recordings[-1].notification.id, timeout=20)
        copies = runner.projection.recorder.select_notifications(1, 100)
        assert len(copies) == 10
