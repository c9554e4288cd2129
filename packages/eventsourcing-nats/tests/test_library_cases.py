"""The library's own test cases, unchanged, on one node and on three replicas.

pytest cannot give parameters to unittest's classes, so each kind of NATS has classes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from unittest import TestCase

import pytest
from eventsourcing.tests import application, persistence

import eventsourcing_nats as module
from eventsourcing_nats import (
    NatsAggregateRecorder,
    NatsApplicationRecorder,
    NatsFactory,
    NatsProcessRecorder,
    NatsTrackingRecorder,
)
from nats_settings import Nats


class ViewRecorder(NatsTrackingRecorder):
    """A tracking recorder of a user's own."""


class OnNats:
    """Gives each test a factory on streams of its own; `kind` names the fixture of the server."""

    __test__ = False  # its subclasses below get a kind from `on`, and are collected then
    kind: str
    made: NatsFactory

    @pytest.fixture(autouse=True)
    def _on_nats(self, request: pytest.FixtureRequest) -> Iterator[None]:
        nats: Nats = request.getfixturevalue(self.kind)
        self.made = nats.factory()
        yield
        self.made.close()


class AggregateRecorder(OnNats, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> NatsAggregateRecorder:
        return self.made.aggregate_recorder()


class SnapshotRecorder(OnNats, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> NatsAggregateRecorder:
        return self.made.aggregate_recorder("snapshots")


class ApplicationRecorder(OnNats, persistence.ApplicationRecorderTestCase):
    def create_recorder(self) -> NatsApplicationRecorder:
        return self.made.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TrackingRecorder(OnNats, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> NatsTrackingRecorder:
        return self.made.tracking_recorder()


class TrackingOfProcessRecorder(OnNats, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> NatsTrackingRecorder:
        return self.made.process_recorder()


class ProcessRecorder(OnNats, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> NatsProcessRecorder:
        return self.made.process_recorder()


class NonInterleaving(OnNats, persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> NatsApplicationRecorder:
        return self.made.application_recorder()


class Factory(OnNats, persistence.InfrastructureFactoryTestCase):
    def setUp(self) -> None:
        self.env = self.made.env
        super().setUp()

    def expected_factory_class(self) -> type[NatsFactory]:
        return module.Factory

    def expected_aggregate_recorder_class(self) -> type[NatsAggregateRecorder]:
        return NatsAggregateRecorder

    def expected_application_recorder_class(self) -> type[NatsApplicationRecorder]:
        return NatsApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[NatsTrackingRecorder]:
        return NatsTrackingRecorder

    def tracking_recorder_subclass(self) -> type[NatsTrackingRecorder]:
        return ViewRecorder

    def expected_process_recorder_class(self) -> type[NatsProcessRecorder]:
        return NatsProcessRecorder


class InEnvironment(OnNats):
    """For cases whose applications read the process' environment."""

    @pytest.fixture(autouse=True)
    def _in_environment(self, _on_nats: None, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.made.env.items():
            monkeypatch.setenv(name, value)


class ExampleApplication(InEnvironment, application.ExampleApplicationTestCase):
    expected_factory_topic = "eventsourcing_nats.factory:NatsFactory"


@pytest.mark.filterwarnings("default:'log' is deprecated:DeprecationWarning")
class Applications(InEnvironment, application.ApplicationTestCase):
    pass


CASES = (
    AggregateRecorder,
    SnapshotRecorder,
    ApplicationRecorder,
    TrackingRecorder,
    TrackingOfProcessRecorder,
    ProcessRecorder,
    NonInterleaving,
    Factory,
    ExampleApplication,
    Applications,
)


def on(kind: str) -> dict[str, type[TestCase]]:
    """All cases for one kind of NATS, by name."""
    names = [f"Test{case.__name__}_{kind}" for case in CASES]
    attributes = {"kind": kind, "__module__": __name__, "__test__": True}
    return {name: type(name, (case,), attributes) for name, case in zip(names, CASES, strict=True)}


globals().update(on("one_node") | on("three_nodes"))
