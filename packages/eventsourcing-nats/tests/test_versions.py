"""Which versions a recorder takes, and what it gives back, on one node and on three replicas."""

from __future__ import annotations

import random
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, ProgrammingError, StoredEvent
from eventsourcing.popo import POPOAggregateRecorder

from eventsourcing_nats import NatsFactory
from nats_settings import Nats

ID = UUID("11111111-2222-3333-4444-555555555555")


@pytest.fixture
def factory(nats: Nats) -> Iterator[NatsFactory]:
    made = nats.factory("Shop")
    yield made
    made.close()


def event(version: int, originator: UUID | str = ID, state: bytes = b"state") -> StoredEvent:
    return StoredEvent(originator, version, "shop:Event", state)


def test_a_version_that_is_taken_or_skipped_is_refused(factory: NatsFactory) -> None:
    recorder = factory.application_recorder()
    assert recorder.insert_events([event(1), event(2)]) == [1, 2]
    for wrong in ([event(2)], [event(1)], [event(4)], [event(3), event(5)], [event(3), event(3)]):
        with pytest.raises(IntegrityError):
            recorder.insert_events([event(1, uuid4()), *wrong])
    assert recorder.insert_events([event(3)]) == [3]
    assert recorder.max_notification_id() == 3


def test_a_write_stands_behind_what_others_wrote(nats: Nats) -> None:
    settings = nats.settings()
    one, other = (NatsFactory(settings).application_recorder() for _ in range(2))
    one.insert_events([event(1)])
    other.select_events(ID)
    one.insert_events([event(2)])
    with pytest.raises(IntegrityError, match="load the aggregate"):
        other.insert_events([event(2)])  # it remembers version 1
    assert other.insert_events([event(3)]) == [3]
    assert one.insert_events([event(4)]) == [4]


def test_a_write_is_all_or_nothing_also_across_originators(factory: NatsFactory) -> None:
    recorder = factory.application_recorder()
    others = [uuid4() for _ in range(3)]
    recorder.insert_events([event(1, others[2])])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(1, other) for other in others])
    assert [recorder.select_events(other) for other in others[:2]] == [[], []]
    mixed = [event(1, others[0]), event(1, others[1]), event(2, others[0]), event(2, others[2])]
    assert recorder.insert_events(mixed) == [2, 3, 4, 5]
    notified = recorder.select_notifications(2, 10)
    assert [(one.originator_id, one.originator_version) for one in notified] == [
        (one.originator_id, one.originator_version) for one in mixed
    ]


def test_more_than_a_thousand_or_too_large_is_refused_as_a_whole(factory: NatsFactory) -> None:
    recorder = factory.application_recorder()
    with pytest.raises(ProgrammingError, match="1000"):
        recorder.insert_events([event(version) for version in range(1, 1002)])
    with pytest.raises(ProgrammingError, match="bytes"):
        recorder.insert_events([event(1), event(2, state=bytes(1 << 20))])
    assert recorder.max_notification_id() is None
    assert recorder.insert_events([event(version) for version in range(1, 1001)]) == list(range(1, 1001))


@pytest.mark.parametrize("originator", [ID, str(ID), "", "a.b *>\n", "Straße/日本", "x" * 255])
def test_an_id_comes_back_as_it_was(factory: NatsFactory, originator: UUID | str) -> None:
    recorder = factory.application_recorder()
    stored = StoredEvent(originator, 1, "modül:Klasse.\r\n Ereignis%", b"\x00\xff\r\n")
    recorder.insert_events([stored])
    assert recorder.select_events(originator) == [stored]
    assert recorder.select_notifications(1, 1)[0].originator_id == originator


def test_an_id_that_does_not_fit_into_a_subject_is_refused(factory: NatsFactory) -> None:
    with pytest.raises(ProgrammingError, match="255 bytes"):
        factory.application_recorder().insert_events([event(1, "x" * 256)])


def test_every_range_is_read_as_the_library_reads_it_from_memory(factory: NatsFactory) -> None:
    chance = random.Random(7)
    recorder, model = factory.aggregate_recorder(), POPOAggregateRecorder()
    version = 1
    while version < 420:
        events = [event(version + i) for i in range(chance.choice([1, 1, 1, 2, 5, 90]))]
        of_another = [event(one.originator_version, "another") for one in events]
        for each in (recorder, model):
            each.insert_events([*events, *of_another])
        version += len(events)
    for _ in range(150):
        gt, lte = (chance.choice([None, 0, version, chance.randrange(version)]) for _ in range(2))
        limit = chance.choice([None, 1, 3, 70])
        for desc in (False, True):
            wanted = model.select_events(ID, gt=gt, lte=lte, desc=desc, limit=limit)
            assert recorder.select_events(ID, gt=gt, lte=lte, desc=desc, limit=limit) == wanted


def test_snapshots_may_have_holes_and_come_in_any_order(factory: NatsFactory) -> None:
    chance = random.Random(3)
    for ordered in (True, False):
        originator = uuid4()
        recorder, model = factory.aggregate_recorder("snapshots"), POPOAggregateRecorder()
        versions = chance.sample(range(1, 1000), 100)
        for version in sorted(versions) if ordered else versions:
            recorder.insert_events([event(version, originator)])
        for version in sorted(versions):  # the model returns them as they were inserted
            model.insert_events([event(version, originator)])
        with pytest.raises(IntegrityError):
            recorder.insert_events([event(chance.choice(versions), originator)])
        for _ in range(60):
            gt, lte = (chance.choice([None, chance.randrange(1000)]) for _ in range(2))
            limit = chance.choice([None, 1, 20])
            for desc in (False, True):
                wanted = model.select_events(originator, gt=gt, lte=lte, desc=desc, limit=limit)
                assert recorder.select_events(originator, gt=gt, lte=lte, desc=desc, limit=limit) == wanted


def test_two_snapshots_at_once_are_both_kept(nats: Nats) -> None:
    settings = nats.settings()
    one, other = (NatsFactory(settings).aggregate_recorder("snapshots") for _ in range(2))
    one.insert_events([event(10)])
    other.select_events(ID)
    one.insert_events([event(20)])
    other.insert_events([event(15)])
    assert [found.originator_version for found in one.select_events(ID)] == [10, 15, 20]
    assert one.select_events(ID, desc=True, limit=1)[0].originator_version == 20
