"""The infrastructure factory: `PERSISTENCE_MODULE=eventsourcing_nats` puts an application on NATS.

Environment variables hold all settings, as with the library's own modules. One with the application's name
in front (`BANKACCOUNTS_NATS_URL`) is for that application alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, cast

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from eventsourcing_nats.connection import Connection, NatsServers
from eventsourcing_nats.recorders import (
    NatsAggregateRecorder,
    NatsApplicationRecorder,
    NatsProcessRecorder,
    NatsRecorder,
    NatsTrackingRecorder,
)
from eventsourcing_nats.streams import EVENTS, TRACKING, StreamNames

UNNAMED = "stored"
R = TypeVar("R", bound=NatsRecorder)


class NatsFactory(InfrastructureFactory[NatsTrackingRecorder]):
    """Makes recorders that share one connection, which the first of them opens and `close` ends."""

    NATS_URL = "NATS_URL"
    NATS_USER = "NATS_USER"
    NATS_CA_FILE = "NATS_CA_FILE"
    NATS_STREAM_PREFIX = "NATS_STREAM_PREFIX"
    NATS_REPLICAS = "NATS_REPLICAS"
    NATS_TIMEOUT = "NATS_TIMEOUT"
    CREATE_TABLE = "CREATE_TABLE"

    aggregate_recorder_class = NatsAggregateRecorder
    application_recorder_class = NatsApplicationRecorder
    tracking_recorder_class = NatsTrackingRecorder
    process_recorder_class = NatsProcessRecorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        """Reads the settings; raises OSError that names what is missing or wrong."""
        super().__init__(env)
        urls = tuple(url.strip() for url in (self.env.get(self.NATS_URL) or "").split(",") if url.strip())
        if not urls:
            keys = ", ".join(self.env.create_keys(self.NATS_URL))
            raise OSError(f"NATS URL not found in environment with keys: {keys}")
        ca_file = self.env.get(self.NATS_CA_FILE)
        self._replicas = int(self._number(self.NATS_REPLICAS, 1, whole=True))
        self._connection = Connection(
            NatsServers(
                urls,
                self._number(self.NATS_TIMEOUT, 10),
                self.env.get(self.NATS_USER) or None,
                self.env.get("NATS_PASSWORD") or None,
                Path(ca_file) if ca_file else None,
            )
        )

    def close(self) -> None:
        """End the connection; again does nothing. Recorders of this factory fail from now on."""
        self._connection.close()

    def aggregate_recorder(self, purpose: str = EVENTS) -> AggregateRecorder:
        """Events or snapshots without a common order. Each purpose has a stream of its own."""
        return self._made(self.aggregate_recorder_class, purpose)

    def application_recorder(self) -> ApplicationRecorder:
        """Events with notifications."""
        return self._made(
            self._class(self.APPLICATION_RECORDER_TOPIC, self.application_recorder_class), EVENTS
        )

    def tracking_recorder(
        self, tracking_recorder_class: type[NatsTrackingRecorder] | None = None
    ) -> NatsTrackingRecorder:
        """Positions alone."""
        default = self._class(self.TRACKING_RECORDER_TOPIC, self.tracking_recorder_class)
        return self._made(tracking_recorder_class or default, TRACKING)

    def process_recorder(self) -> ProcessRecorder:
        """Events with notifications, and positions that are recorded with them."""
        return self._made(self._class(self.PROCESS_RECORDER_TOPIC, self.process_recorder_class), EVENTS)

    def _made(self, recorder_class: type[R], purpose: str) -> R:
        prefix = self.env.get(self.NATS_STREAM_PREFIX) or "eventsourcing"
        names = StreamNames(prefix, self.env.name or UNNAMED, purpose)
        recorder = recorder_class(self._connection, names, self._replicas)
        recorder.ensure_stream(change=strtobool(self.env.get(self.CREATE_TABLE) or "yes"))
        return recorder

    def _class(self, key: str, default: type[R]) -> type[R]:
        topic = self.env.get(key)
        return cast(type[R], resolve_topic(topic)) if topic else default

    def _number(self, key: str, default: float, *, whole: bool = False) -> float:
        text = (self.env.get(key) or "").strip()
        try:
            number = float(text) if text else default
        except ValueError:
            number = -1
        if number <= 0 or (whole and number != int(number)):
            kind = "whole number above 0" if whole else "number of seconds above 0"
            raise OSError(f"NATS environment value for key '{key}' is invalid: {text!r}, expected a {kind}")
        return number
