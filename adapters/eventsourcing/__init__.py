"""`PERSISTENCE_MODULE=adapters.eventsourcing`: a store on NATS JetStream for the `eventsourcing` library.

Apart from the rest of Towpath: it serves any application of that library. docs/eventsourcing.md says what
holds.
"""

from adapters.eventsourcing.factory import NatsFactory
from adapters.eventsourcing.recorders import (
    NatsAggregateRecorder,
    NatsApplicationRecorder,
    NatsProcessRecorder,
    NatsTrackingRecorder,
)

Factory = NatsFactory

__all__ = [
    "Factory",
    "NatsAggregateRecorder",
    "NatsApplicationRecorder",
    "NatsFactory",
    "NatsProcessRecorder",
    "NatsTrackingRecorder",
]
