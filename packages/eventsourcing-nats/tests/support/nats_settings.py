"""The settings that put the `eventsourcing` library on a test's own streams."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from eventsourcing.utils import Environment

from eventsourcing_nats import NatsFactory


@dataclass(frozen=True)
class Nats:
    """Where NATS is, and how many replicas its streams get."""

    url: str
    replicas: int = 1

    def settings(self, **more: str) -> dict[str, str]:
        """Environment variables for streams of their own."""
        return {
            "PERSISTENCE_MODULE": "eventsourcing_nats",
            "NATS_URL": self.url,
            "NATS_REPLICAS": str(self.replicas),
            "NATS_STREAM_PREFIX": f"t{uuid4().hex[:12]}",
            "NATS_TIMEOUT": "30",
            **more,
        }

    def factory(self, name: str = "", **more: str) -> NatsFactory:
        """A factory with streams of its own."""
        return NatsFactory(Environment(name, self.settings(**more)))
