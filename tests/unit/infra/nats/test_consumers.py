"""The table of consumers, which doctor, metrics and AsyncAPI use, is what the subscribers declare."""

from __future__ import annotations

import json
from typing import Any, cast

from faststream import AckPolicy
from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import PullStreamSubscriber

from adapters.queues.work_queue import FastStreamQueues
from api.reports.nats_intake import ReportIntake
from domain.subjects import Stream
from infra.documents import CONTRACTS
from infra.nats.consumers import CONSUMERS
from projections.dispatch import Dispatch
from projections.lock_waits import LockWaits
from projections.watchdog import Watchdog

NOTHING = cast(Any, None)  # to declare a subscriber takes no parts


def declared() -> list[PullStreamSubscriber]:
    queues, broker = FastStreamQueues(NOTHING), NatsBroker()
    Dispatch(*[NOTHING] * 7).subscribe(queues)
    Watchdog(*[NOTHING] * 5).subscribe(queues)
    LockWaits(NOTHING, NOTHING).subscribe(queues)
    queues.subscribe(broker)
    ReportIntake(NOTHING).subscribe(broker)
    return [one for one in broker.subscribers if isinstance(one, PullStreamSubscriber)]


def test_the_table_is_what_is_declared() -> None:
    found = {
        one.config.durable_name: (one.stream.name, tuple(one.filter_subjects or [one.subject.template]))
        for one in declared()
    }
    assert found == {one.name: (one.stream, one.subjects) for one in CONSUMERS}


def test_each_settles_itself_never_answers_and_leaves_its_stream_alone() -> None:
    for one in declared():
        assert one.ack_policy is AckPolicy.MANUAL
        assert not one.stream.declare
        assert one.config.max_deliver == -1


def test_the_document_has_an_operation_for_each_queue_and_channel() -> None:
    document = json.loads((CONTRACTS / "asyncapi.json").read_text())
    found: dict[str, set[str]] = {}
    for operation in document["operations"].values():
        if "x-consumer" in operation:
            assert operation["action"] == "receive"
            channel = operation["channel"]["$ref"].rpartition("/")[2]
            found.setdefault(operation["x-consumer"]["durable"], set()).add(channel)
    assert found == {
        "dispatch": {
            "lock.granted",
            "lock.refused",
            "task.dispatched",
            "task.cancel-requested",
            "task.lock-release-requested",
        },
        "due-attempt": {"timer.due"},
        "due-lock-wait": {"timer.due"},
        "report-intake": {"report"},
    }
    assert document["operations"]["dispatch.lock.granted"]["x-consumer"]["stream"] == Stream.LOG
