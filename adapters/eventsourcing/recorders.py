"""The library's recorders on JetStream: thin, each call is one call of the link.

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
from nats.aio.client import Client

from adapters.eventsourcing.atomic_writer import AtomicWriter
from adapters.eventsourcing.event_log import EventLog
from adapters.eventsourcing.hints import Hints
from adapters.eventsourcing.link import Link
from adapters.eventsourcing.patient_api import PatientApi
from adapters.eventsourcing.positions import Positions
from adapters.eventsourcing.streams import EVENTS, StreamNames, ensure_stream, events_stream, tracking_stream
from adapters.eventsourcing.subscription import NatsSubscription
from adapters.nats.stream_definition import StreamDefinition

T = TypeVar("T")


class NatsRecorder(Recorder):
    """What all have in common. `replicas` is for the stream, where this recorder makes it."""

    def __init__(self, link: Link, names: StreamNames, replicas: int = 1) -> None:
        self._link, self._names, self._replicas = link, names, replicas
        self._api: PatientApi | None = None

    def ensure_stream(self, *, change: bool = True) -> None:
        """Make the stream where it is missing, unless `change` is false: then only look.

        Raises OperationalError where it is missing or unsafe.
        """
        definition = self._definition()
        self._link.call(lambda client: ensure_stream(client, definition, change=change))

    def _definition(self) -> StreamDefinition:
        return events_stream(self._names, self._replicas)

    def _api_of(self, client: Client) -> PatientApi:
        if self._api is None:
            self._api = PatientApi(client, self._names.stream)
        return self._api

    def _why(self) -> str:
        return self._api.last_refusal if self._api is not None else ""


class NatsAggregateRecorder(NatsRecorder, AggregateRecorder):
    """Events of one purpose: `events` have contiguous versions, others (snapshots) may have holes."""

    def __init__(self, link: Link, names: StreamNames, replicas: int = 1) -> None:
        super().__init__(link, names, replicas)
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
        return self._link.call(lambda client: work(self._log_of(client)), self._why)

    def _log_of(self, client: Client) -> EventLog:
        if self._log is None:
            self._log = EventLog(
                client, self._api_of(client), self._names, contiguous=self._names.purpose == EVENTS
            )
        return self._log


class NatsApplicationRecorder(NatsAggregateRecorder, ApplicationRecorder):
    """Events of all originators in one order: a notification's id is its sequence in the stream."""

    def __init__(self, link: Link, names: StreamNames, replicas: int = 1) -> None:
        super().__init__(link, names, replicas)
        self._hints = Hints(link, f"{names.stored_root}.*")

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
        self._hints.listen(event)

    def unlisten(self, event: threading.Event) -> None:
        """Stop that."""
        self._hints.unlisten(event)


class NatsTrackingRecorder(NatsRecorder, TrackingRecorder):
    """How far the notifications of other applications have been processed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record a position. Raises IntegrityError where it is not ahead of the last one."""
        self._link.call(lambda client: self._positions(client).insert(tracking), self._why)

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last position, None where nothing was recorded."""
        return self._link.call(lambda client: self._positions(client).highest(application_name), self._why)

    def _definition(self) -> StreamDefinition:
        return tracking_stream(self._names, self._replicas)

    def _positions(self, client: Client) -> Positions:
        api = self._api_of(client)
        return Positions(api, AtomicWriter(client, api), self._names.root)


class NatsProcessRecorder(NatsTrackingRecorder, NatsApplicationRecorder, ProcessRecorder):
    """Events, and in the same write the position of what they were made from."""

    def _definition(self) -> StreamDefinition:
        return events_stream(self._names, self._replicas)

    def _positions(self, client: Client) -> Positions:
        return self._log_of(client).positions
