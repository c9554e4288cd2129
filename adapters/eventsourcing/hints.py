"""Wakes whoever waits for new events: the stream itself says on a plain subject what it has stored.

Only a hint: such a message may get lost, so everybody is woken every POLL_SECONDS as well, and when the
connection is closed. What is new is always read from the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable

from eventsourcing.persistence import PersistenceError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from adapters.eventsourcing.link import Link

POLL_SECONDS = 2.0


class Hints:
    """Sets the events of its listeners when something may have been stored."""

    def __init__(self, link: Link, subject: str) -> None:
        self._link, self._subject = link, subject
        self._guard = threading.Lock()
        self._listeners: frozenset[threading.Event] = frozenset()
        self._subscription: Subscription | None = None
        self._poll: asyncio.Task[None] | None = None

    def listen(self, event: threading.Event) -> None:
        """Set `event` whenever something may be new, and once now."""
        with self._guard:
            self._listeners |= {event}
            if self._poll is None:
                self._link.call(self._start)
        event.set()

    def unlisten(self, event: threading.Event) -> None:
        """Leave `event` alone from now on; one that is not known is passed over."""
        with self._guard:
            self._listeners -= {event}
            if not self._listeners and self._poll is not None:
                with contextlib.suppress(PersistenceError):  # the link is closed: so is the subscription
                    self._link.call(self._stop)
                self._poll = None

    async def _start(self, client: Client) -> None:
        self._subscription = await client.subscribe(self._subject, cb=self._on_hint)
        self._poll = asyncio.get_running_loop().create_task(self._wake_now_and_then())

    async def _stop(self, _: Client) -> None:
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
