"""A bot in the test's process, on a fake Bot API and a real Towpath."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.notices.chat_state import SqlChatState
from adapters.notices.database import create_notice_tables
from adapters.read_model.database import open_database
from adapters.telegram.bot_api import BotApi, bot_id
from adapters.telegram.pace import Limits, Pace
from domain.backoff import Backoff
from domain.chat.cards import Card, Shown
from domain.chat.people import Recipe, User
from infra.chat.bot import Bot
from infra.chat.calls import Calls
from infra.composition import now
from tests.support.http.http_service import QuietHandler, serving
from tests.support.telegram.bot_api_server import ANN, TOKEN, FakeBotApi

BOB, EVE = 816, 817
USERS = {ANN: User(ANN, "ann", "operator"), BOB: User(BOB, "bob@ops.io", "viewer")}
BOT_ID = bot_id(TOKEN)


class Crash(BaseException):
    """The bot ends here."""


class Steps:
    """Lets so many steps happen, and then crashes; None: all of them."""

    def __init__(self, left: int | None) -> None:
        self._left = left
        self.ended = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether it has crashed."""
        return self.ended.is_set()

    def step(self) -> None:
        """One more step. Raises Crash."""
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self.ended.set()
            raise Crash


class CrashingApi(BotApi):
    """Each request to Telegram is a step, before it and after it."""

    def __init__(self, token: str, base_url: str, steps: Steps) -> None:
        super().__init__(token, base_url)
        self._steps = steps

    async def _call(self, method: str, given: Mapping[str, Any], wait_seconds: float = 0.0) -> Any:
        if method in ("getUpdates", "getMe"):
            return await super()._call(method, given, wait_seconds)
        self._steps.step()
        found = await super()._call(method, given, wait_seconds)
        self._steps.step()
        return found


class CrashingState(SqlChatState):
    """Each change of the state is a step before it."""

    def __init__(self, engine: AsyncEngine, steps: Steps) -> None:
        super().__init__(engine, None, BOT_ID)
        self._steps = steps

    async def handled(self, update_id: int, now: datetime) -> None:
        self._steps.step()
        await super().handled(update_id, now)

    async def keep(self, card: Card, now: datetime) -> None:
        self._steps.step()
        await super().keep(card, now)

    async def shown(self, card_id: str, shown: Shown) -> None:
        self._steps.step()
        await super().shown(card_id, shown)

    async def close(self, card_id: str, outcome: str) -> None:
        self._steps.step()
        await super().close(card_id, outcome)


@asynccontextmanager
async def running_bot(
    fake: FakeBotApi,
    url: str,
    state: Path,
    recipes: Mapping[str, Recipe] | None = None,
    steps: Steps | None = None,
    clock: Callable[[], datetime] = now,
) -> AsyncIterator[Bot]:
    """A bot until the end of the block, which ends it as a crash does, or until `steps` are over."""
    steps = steps or Steps(None)
    engine = open_database(f"sqlite:///{state}", survives_power_cut=True)
    calls = Calls(url, None)
    await create_notice_tables(engine)
    async with CrashingApi(fake.token, fake.url, steps) as api:
        bot = Bot(
            api,
            Pace(Limits(chat_seconds=0.0)),
            CrashingState(engine, steps),
            calls,
            USERS,
            recipes or {},
            clock,
            "https://towpath.example",
            again=Backoff(0.02, 0.1),
            look_at_all_seconds=0.2,
        )
        running = asyncio.create_task(bot.run(asyncio.Event()))
        try:
            yield bot
            assert not running.done() or steps.over, running.exception()
        finally:
            running.cancel()
            await asyncio.wait({running})
            await calls.aclose()
            await engine.dispose()


@contextmanager
def unsure(url: str) -> Iterator[str]:
    """The API at `url`, which does not know what became of a command."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            answer = httpx.get(url + self.path)
            self._say(answer.status_code, answer.content)

        def do_POST(self) -> None:
            problem = {"code": "log-unreachable", "title": "x", "status": 503, "detail": "no word of it"}
            self._say(503, json.dumps(problem).encode())

        def _say(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as here:
        yield here
