"""An endless iterator over the events of all originators, as the library's own recorders offer it.

The library's base class reads page by page in a thread, so no event is passed over; this module wakes that
thread. The stream republishes the headers of what it stores on a plain subject. That is only a hint: such a
message may get lost, so listeners also wake every POLL_SECONDS, and when the connection closes. What is new
is always read from the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from eventsourcing.persistence import ListenNotifySubscription, PersistenceError
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from eventsourcing_nats.connection import Connection
from eventsourcing_nats.request_reply import RequestReply

if TYPE_CHECKING:
    from eventsourcing_nats.recorders import NatsApplicationRecorder

POLL_SECONDS = 2.0


class NatsSubscription(ListenNotifySubscription["NatsApplicationRecorder"]):
    """Use it as a context manager, or call `stop`: its thread ends with it."""

    def __init__(
        self, recorder: NatsApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        try:
            self._recorder.listen(self._has_been_notified)
        except BaseException:
            super().stop()
            raise

    def stop(self) -> None:
        """End the iteration, also one that waits in another thread."""
        super().stop()
        self._recorder.unlisten(self._has_been_notified)


class Wakeups:
    """Sets the events of its listeners when something may have been stored."""

    def __init__(self, connection: Connection, subject: str) -> None:
        self._connection, self._subject = connection, subject
        self._guard = threading.Lock()
        self._listeners: frozenset[threading.Event] = frozenset()
        self._subscription: Subscription | None = None
        self._poll: asyncio.Task[None] | None = None

    def listen(self, event: threading.Event) -> None:
        """Set `event` whenever something may be new, and once now."""
        with self._guard:
            self._listeners |= {event}
            if self._poll is None:
                self._connection.call(self._start)
        event.set()

    def unlisten(self, event: threading.Event) -> None:
        """Leave `event` alone from now on; an unknown one is ignored."""
        with self._guard:
            self._listeners -= {event}
            if not self._listeners and self._poll is not None:
                with contextlib.suppress(PersistenceError):  # closed: so is the subscription
                    self._connection.call(self._stop)
                self._poll = None

    async def _start(self, requests: RequestReply) -> None:
        self._subscription = await requests.client.subscribe(self._subject, cb=self._on_hint)
        self._poll = asyncio.get_running_loop().create_task(self._wake_now_and_then())

    async def _stop(self, _: RequestReply) -> None:
        if self._poll is not None:
            self._poll.cancel()
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def _on_hint(self, _: Msg) -> None:
        _wake(self._listeners)

    async def _wake_now_and_then(self) -> None:
        try:
            while True:
                await asyncio.sleep(POLL_SECONDS)
                _wake(self._listeners)
        finally:
            _wake(self._listeners)


def _wake(listeners: Iterable[threading.Event]) -> None:
    for event in listeners:
        event.set()
