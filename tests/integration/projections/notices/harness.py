"""Notifiers on a real log, with a state in SQL and channels that end at real receivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from nats.aio.client import Client
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.notices.addresses import Allowed
from adapters.notices.database import create_notice_tables
from adapters.notices.store import SqlNoticeState
from adapters.notices.tables import POSTGRES_SCHEMA
from adapters.notices.webhook import Webhook, WebhookSender, webhook_client
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.read_model.database import open_database
from adapters.runners.heartbeats import JetStreamHeartbeats
from domain.backoff import Backoff
from domain.notices.rules import Rule, Rules, Trigger
from domain.notices.schedule import Timing
from domain.ports.lock_view import LockView
from domain.runners.liveness import LeaseTerms
from projections.notices.delivery import Delivery
from projections.notices.notifier import Notifier
from projections.notices.observer import Observer
from projections.notices.teller import Teller
from tests.support.log_harness import LogHarness
from tests.support.messages import now

TERMS = LeaseTerms(timedelta(seconds=1), timedelta(seconds=1))
RETRY = Backoff(first_seconds=0.05, longest_seconds=0.2)
KEY = b"k" * 32
BASE_URL = "https://towpath.example"


def rule(*events: str, channel: str = "ops", **filters: object) -> Rule:
    """A rule of these events."""
    return Rule(channel, tuple(map(Trigger.parse, events)), **filters)  # type: ignore[arg-type]


async def open_state_database(url: str) -> AsyncEngine:
    """The database of the notifier's state, with its tables."""
    engine = open_database(url, schema=POSTGRES_SCHEMA, survives_power_cut=True)
    await create_notice_tables(engine)
    return engine


def sqlite_url(directory: Path) -> str:
    """A state in a file."""
    return f"sqlite:///{directory / 'notices.db'}"


class NotifierParts:
    """What notifiers of one test share. `receivers`: by channel, the URL that it ends at."""

    def __init__(
        self, connection: Client, log: LogHarness, view: LockView, receivers: Mapping[str, str]
    ) -> None:
        self.log = log
        self.heartbeats = JetStreamHeartbeats(connection, TERMS)
        self.letters = JetStreamDeadLetters(connection)
        self.timings: dict[str, Timing] = {}
        self.try_for = timedelta(days=1)
        self._view = view
        self._receivers = receivers
        self._client = webhook_client()

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def notifier(
        self, state: SqlNoticeState, rules: Sequence[Rule], *, take_over_seconds: float = 60.0
    ) -> Notifier:
        """A notifier with this state."""
        loopback = Allowed.parse(["127.0.0.0/8"])
        deliveries = [
            Delivery(
                name,
                self.timings.get(name, Timing()),
                WebhookSender(Webhook(url, (KEY,), loopback), self._client),
                state,
                now,
                retry=RETRY,
                try_for=self.try_for,
            )
            for name, url in self._receivers.items()
        ]
        teller = Teller(Rules(rules), self.log.reader, self.log.new_store(), self._view, BASE_URL)
        observer = Observer(self.heartbeats, self._view, self.letters, TERMS)
        return Notifier(
            self.log.reader,
            state,
            teller,
            observer,
            deliveries,
            now,
            beat_seconds=0.1,
            take_over_seconds=take_over_seconds,
        )
