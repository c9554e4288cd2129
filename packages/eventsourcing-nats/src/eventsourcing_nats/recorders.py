"""The library's recorders on JetStream: thin, each call is one call of the connection.

Recorders of one factory share its connection; each reads and writes one stream. All of them may be used
by any number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    Notification,
    ProcessRecorder,
    Recorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)

from eventsourcing_nats.atomic_writer import AtomicWriter
from eventsourcing_nats.connection import Connection
from eventsourcing_nats.event_log import EventLog
from eventsourcing_nats.positions import Positions
from eventsourcing_nats.request_reply import RequestReply
from eventsourcing_nats.stream_reader import StreamReader
from eventsourcing_nats.streams import (
    EVENTS,
    StreamDefinition,
    StreamNames,
    ensure_stream,
    events_stream,
    tracking_stream,
)
from eventsourcing_nats.subscription import NatsSubscription, Wakeups

T = TypeVar("T")


class NatsRecorder(Recorder):
    """What all have in common. `replicas` is for the stream, where this recorder makes it."""

    def __init__(self, connection: Connection, names: StreamNames, replicas: int = 1) -> None:
        self._connection, self._names, self._replicas = connection, names, replicas
        self._reader: StreamReader | None = None

    def ensure_stream(self, *, change: bool = True) -> None:
        """Make the stream where it is missing, unless `change` is false: then only look.

        Raises OperationalError where it is missing or unsafe.
        """
        definition = self._definition()
        self._connection.call(lambda requests: ensure_stream(requests, definition, change=change))

    def _definition(self) -> StreamDefinition:
        return events_stream(self._names, self._replicas)

    def _reader_of(self, requests: RequestReply) -> StreamReader:
        if self._reader is None:
            self._reader = StreamReader(requests, self._names.stream)
        return self._reader


class NatsAggregateRecorder(NatsRecorder, AggregateRecorder):
    """Events of one purpose: `events` have contiguous versions, others (snapshots) may have holes."""

    def __init__(self, connection: Connection, names: StreamNames, replicas: int = 1) -> None:
        super().__init__(connection, names, replicas)
        self._log: EventLog | None = None

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Store all or none. Raises IntegrityError where another event has one of the versions."""
        self._on_log(lambda log: log.insert(stored_events))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one originator with gt < version <= lte, in order of their versions."""
        return self._on_log(lambda log: log.select(originator_id, gt, lte, desc, limit))

    def _on_log(self, work: Callable[[EventLog], Coroutine[Any, Any, T]]) -> T:
        return self._connection.call(lambda requests: work(self._log_of(requests)))

    def _log_of(self, requests: RequestReply) -> EventLog:
        if self._log is None:
            contiguous = self._names.purpose == EVENTS
            self._log = EventLog(requests, self._reader_of(requests), self._names, contiguous=contiguous)
        return self._log


class NatsApplicationRecorder(NatsAggregateRecorder, ApplicationRecorder):
    """Events of all originators in one order: a notification's id is its sequence in the stream."""

    def __init__(self, connection: Connection, names: StreamNames, replicas: int = 1) -> None:
        super().__init__(connection, names, replicas)
        self._wakeups = Wakeups(connection, f"{names.stored_root}.*")

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Store all or none; the notification ids. IntegrityError where a version is taken or skipped."""
        return self._on_log(lambda log: log.insert(stored_events, kwargs.get("tracking")))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events from `start` (by default inclusive) to `stop`, at most `limit`."""
        first = 1 if start is None else start if inclusive_of_start else start + 1
        return self._on_log(lambda log: log.notifications(max(first, 1), limit, stop, topics))

    def max_notification_id(self) -> int | None:
        """The id of the last event, None where there is none."""
        return self._on_log(lambda log: log.last_id())

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """All events behind `gt`, then new ones as they come."""
        return NatsSubscription(self, gt=gt, topics=topics)

    def listen(self, event: threading.Event) -> None:
        """Set `event` whenever new events may be there."""
        self._wakeups.listen(event)

    def unlisten(self, event: threading.Event) -> None:
        """Stop that."""
        self._wakeups.unlisten(event)


class NatsTrackingRecorder(NatsRecorder, TrackingRecorder):
    """How far the notifications of other applications have been processed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record a position. Raises IntegrityError where it is not ahead of the last one."""
        self._connection.call(lambda requests: self._positions(requests).insert(tracking))

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last position, None where nothing was recorded."""
        return self._connection.call(lambda requests: self._positions(requests).highest(application_name))

    def _definition(self) -> StreamDefinition:
        return tracking_stream(self._names, self._replicas)

    def _positions(self, requests: RequestReply) -> Positions:
        reader = self._reader_of(requests)
        return Positions(reader, AtomicWriter(requests, reader), self._names.root)


class NatsProcessRecorder(NatsTrackingRecorder, NatsApplicationRecorder, ProcessRecorder):
    """Events, and in the same write the position of what they were made from."""

    def _definition(self) -> StreamDefinition:
        return events_stream(self._names, self._replicas)

    def _positions(self, requests: RequestReply) -> Positions:
        return self._log_of(requests).positions
