"""A persistence module for the `eventsourcing` library on NATS JetStream.

Set `PERSISTENCE_MODULE=eventsourcing_nats` and `NATS_URL`. Start reading at `factory.py` (settings) and
`recorders.py` (the library's interface). Beneath them, `event_log.py` decides what a save may do,
`atomic_writer.py` stores it, `stream_reader.py` reads, `connection.py` joins the synchronous library to the
asynchronous client. README.md lists the guarantees.
"""

from eventsourcing_nats.factory import NatsFactory
from eventsourcing_nats.recorders import (
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
