"""Builds the notifier from settings and the checked file of channels and rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.notices.chat_state import SqlChatState
from adapters.notices.database import create_notice_tables
from adapters.notices.store import SqlNoticeState
from adapters.notices.tables import POSTGRES_SCHEMA
from adapters.read_model.database import open_database
from adapters.telegram.bot_api import bot_id
from infra.composition import Core, new_id, now
from infra.config.settings import Settings
from infra.notices.file import NotifyFile
from infra.notices.senders import Senders
from projections.lock_view import FoldedLockView
from projections.notices.delivery import Delivery
from projections.notices.notifier import Notifier
from projections.notices.observer import Observer
from projections.notices.teller import Teller

if TYPE_CHECKING:
    from infra.chat.bot import Bot


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
        async with Senders() as senders, AsyncExitStack() as opened:
            state = SqlNoticeState(engine, new_id())
            bots = await _bots(opened, settings, file, engine, state.owner, senders)
            buttons = {key: bot.question_buttons for key, bot in bots.items()}
            deliveries = [
                Delivery(one.name, one.timing, senders.sender(one.receiver, buttons), state, now)
                for one in file.channels.values()
            ]
            teller = Teller(file.rules, core.reader, core.tasks, view, settings.api_public_base_url)
            observer = Observer(core.heartbeats, view, core.dead_letters, settings.lease_terms)
            yield Notifier(core.reader, state, teller, observer, deliveries, now, [*bots.values()])
    finally:
        await engine.dispose()


async def _bots(
    opened: AsyncExitStack,
    settings: Settings,
    file: NotifyFile,
    engine: AsyncEngine,
    owner: str,
    senders: Senders,
) -> dict[tuple[str, str], Bot]:
    """The bots that people write to, by token and base URL."""
    if not file.bots:
        return {}
    from infra.chat.bot import Bot  # it needs an extra
    from infra.chat.calls import Calls

    token = settings.token.get_secret_value() if settings.token is not None else None
    calls = await opened.enter_async_context(aclosing(Calls(settings.url, token)))
    found = {}
    for key in sorted(file.bots):
        state = SqlChatState(engine, owner, bot_id(key[0]))
        people, base_url = file.people, settings.api_public_base_url
        found[key] = Bot(*senders.bot(*key), state, calls, people.users, people.recipes, now, base_url)
    return found
