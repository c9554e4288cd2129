"""A bot in the test's process, on a fake Bot API and a real Towpath."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.notices.chat_state import SqlChatState
from adapters.notices.store import create_notice_tables
from adapters.read_model.database import open_database
from adapters.telegram.bot_api import BotApi
from domain.backoff import Backoff
from domain.chat.people import Recipe, User
from domain.lifecycle.asyncio_tasks import end_tasks
from infra.chat.bot import Bot
from infra.chat.calls import Calls
from infra.composition import now
from tests.support.telegram.bot_api_server import ANN, TOKEN, FakeBotApi

BOB, EVE = 816, 817
USERS = {ANN: User(ANN, "ann", "operator"), BOB: User(BOB, "bob", "viewer")}
BOT_ID = int(TOKEN.partition(":")[0])


@asynccontextmanager
async def running_bot(
    fake: FakeBotApi, url: str, state: Path, recipes: Mapping[str, Recipe] | None = None
) -> AsyncIterator[Bot]:
    """A bot until the end of the block, which ends it as a crash does."""
    engine = open_database(f"sqlite:///{state}", survives_power_cut=True)
    calls = Calls(url, None)
    await create_notice_tables(engine)
    async with BotApi(fake.token, fake.url) as api:
        bot = Bot(
            api,
            SqlChatState(engine, None, BOT_ID),
            calls,
            USERS,
            recipes or {},
            now,
            "https://towpath.example",
            again=Backoff(0.02, 0.1),
            look_at_all_seconds=0.2,
        )
        running = asyncio.create_task(bot.run(asyncio.Event()))
        try:
            yield bot
            assert not running.done(), running.result()
        finally:
            await end_tasks([running])
            await calls.close()
            await engine.dispose()
