"""Builds the notifier from settings and the checked file of channels and rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.notices.store import SqlNoticeState, create_notice_tables
from adapters.notices.tables import POSTGRES_SCHEMA
from adapters.read_model.database import open_database
from infra.composition import Core, new_id, now
from infra.config.settings import Settings
from infra.notices.file import NotifyFile
from infra.notices.senders import Senders
from projections.lock_view import FoldedLockView
from projections.notices.delivery import Delivery
from projections.notices.notifier import Notifier
from projections.notices.observer import Observer
from projections.notices.teller import Teller


def open_notice_database(settings: Settings) -> AsyncEngine:
    """The database of the notifier's state; dispose it at the end."""
    return open_database(settings.notices_url, schema=POSTGRES_SCHEMA, survives_power_cut=True)


@asynccontextmanager
async def open_notifier(core: Core, file: NotifyFile, view: FoldedLockView) -> AsyncIterator[Notifier]:
    """The notifier; `view` must run beside it."""
    settings = core.settings
    engine = open_notice_database(settings)
    try:
        await create_notice_tables(engine)
        async with Senders() as senders:
            state = SqlNoticeState(engine, new_id())
            deliveries = [
                Delivery(one.name, one.timing, senders.sender(one.receiver), state, now)
                for one in file.channels.values()
            ]
            teller = Teller(file.rules, core.reader, core.tasks, view, settings.api_public_base_url)
            observer = Observer(core.heartbeats, view, core.dead_letters, settings.lease_terms)
            yield Notifier(core.reader, state, teller, observer, deliveries, now)
    finally:
        await engine.dispose()
