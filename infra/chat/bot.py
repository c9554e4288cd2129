"""The bot: takes updates one after the other, and acknowledges each once its effect is done.

Delivery: at least once. An update is noted as handled after its effect; a crash before that brings it again.
Then its effect is asked for again, which changes nothing: a task has the id that the update gives it, an
answer of the same person is taken twice, and other buttons name an attempt and a fencing token. Only a reply
in words may come twice.

Telegram lets one program poll a bot. While another one does, this one waits, tells so, and tries again for as
long as it runs; messages are sent meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from adapters.notices.chat_state import SqlChatState
from adapters.telegram.bot_api import BotApi
from adapters.telegram.errors import BotApiError, Conflict, Throttled, Unauthorized
from adapters.telegram.pace import Pace
from adapters.telegram.updates import Update
from domain.backoff import Backoff
from domain.chat.people import Recipe, User
from domain.errors import Busy
from domain.lifecycle.asyncio_tasks import end_tasks, wait_at_most
from domain.log.record import Recorded
from domain.ports.notices import Superseded
from infra.chat.acting import Acting
from infra.chat.answers import answer
from infra.chat.calls import Calls
from infra.chat.desk import Desk
from infra.chat.messages import Messages
from infra.chat.presses import Presses
from infra.chat.question_buttons import QuestionButtons
from infra.chat.reading import Reading
from infra.chat.sending import Closing, Sending
from infra.chat.settling import LOOK_AT_ALL_SECONDS, Settling
from infra.chat.strangers import Strangers

POLL_SECONDS = 25.0
AGAIN = Backoff(first_seconds=1.0, longest_seconds=60.0)
JITTER = 0.3
TROUBLE_TELLS_AFTER = 3
"""Failures in a row; a restart is often told that its own last request is still open."""
NUMBERS_LAST = timedelta(days=6)
"""After a week without updates Telegram begins with another number, which may be smaller."""
KEEP_CARDS = timedelta(days=14)
FORGET_EVERY = timedelta(hours=1)
GIVEN_UP = "this went wrong inside of the bot and was given up: the log of the notifier says more"
log = structlog.get_logger(__name__)
T = TypeVar("T")


class Bot:
    """One bot of Telegram."""

    def __init__(
        self,
        api: BotApi,
        pace: Pace,
        state: SqlChatState,
        calls: Calls,
        users: Mapping[int, User],
        recipes: Mapping[str, Recipe],
        clock: Callable[[], datetime],
        base_url: str | None,
        *,
        again: Backoff = AGAIN,
        look_at_all_seconds: float = LOOK_AT_ALL_SECONDS,
    ) -> None:
        self._api = api
        self._state = state
        self._calls = calls
        self._users = users
        self._clock = clock
        self._again = again
        self._closing = asyncio.Event()
        self._acting = asyncio.Lock()
        self._failures = 0
        self._told = False
        self._forgot_at = clock()
        self._sending = Sending(api, pace, state, clock, self._closing)
        self._settling = Settling(
            state, calls, self._sending, clock, self._acting, base_url, look_at_all_seconds
        )
        self._sending.on_shown = self._settling.shown
        self._reading = Reading(clock, base_url)
        self._changes = Acting(recipes, clock)
        self._strangers = Strangers()
        self.question_buttons = QuestionButtons(state, self._settling.shown, clock)

    def hear(self, events: Sequence[Recorded]) -> None:
        """Events of the log, as the notifier reads them."""
        self._settling.hear(events)

    async def run(self, closing: asyncio.Event) -> None:
        """Receive until `closing` is set; what is being done then is done first."""
        self._closing.clear()
        receiving = asyncio.create_task(self._receive())
        settling = asyncio.create_task(self._settling.run(self._closing))
        ends = asyncio.create_task(closing.wait())
        try:
            done, _ = await asyncio.wait({receiving, settling, ends}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self._closing.set()
            for result in await asyncio.gather(receiving, settling, return_exceptions=True):
                if isinstance(result, BaseException) and not isinstance(result, Closing):
                    raise result
        finally:
            self._closing.set()
            await end_tasks([receiving, settling, ends])

    # ------------------------------------------------------------------ receiving

    async def _receive(self) -> None:
        standing = await self._state.begin(self._clock())
        self._told = standing.trouble is not None
        me = await self._patiently(self._api.get_me)
        if me is None:
            return
        await self._state.named(me.username)
        take = self._taker(me.username)
        last, last_at = standing.next_update, standing.update_at
        while not self._closing.is_set():
            offset = last if self._clock() - last_at < NUMBERS_LAST else 0
            updates = await self._patiently(partial(self._api.get_updates, offset, POLL_SECONDS))
            if updates is None:
                return
            for update in updates:
                if self._closing.is_set():
                    return
                if update.id != last - 1:
                    async with self._acting:
                        await take(update)
                last, last_at = update.id + 1, self._clock()
                await self._state.handled(update.id, last_at)
            await self._forget()

    def _taker(self, bot_name: str) -> Callable[[Update], Awaitable[None]]:
        desk = Desk(
            self._users,
            self._calls,
            self._state,
            self._sending,
            self._reading,
            self._changes,
            self._strangers,
            self._clock,
        )
        messages, presses = Messages(bot_name, desk), Presses(desk)

        async def take(update: Update) -> None:
            try:
                if update.message is not None:
                    await messages.take(update.message, update.id)
                elif update.press is not None:
                    await presses.take(update.press)
            except (Closing, Busy, Superseded):
                raise
            except Exception:  # Telegram would send it again without end, before all others
                log.exception("an update was given up", update_id=update.id)
                if update.message is not None:
                    await self._sending.send(
                        update.message.chat.id, answer(GIVEN_UP), reply_to=update.message.id
                    )
                elif update.press is not None:
                    await self._sending.acknowledge(update.press.id, GIVEN_UP, alert=True)

        return take

    async def _patiently(self, request: Callable[[], Awaitable[T]]) -> T | None:
        """The answer to a request; None when closing, which cuts it off: nothing is acknowledged by that."""
        while not self._closing.is_set():
            asking = asyncio.ensure_future(request())
            closing = asyncio.ensure_future(self._closing.wait())
            try:
                await asyncio.wait({asking, closing}, return_when=asyncio.FIRST_COMPLETED)
                if not asking.done():
                    return None
                found = asking.result()
            except BotApiError as error:
                await self._failed(error)
            else:
                await self._works()
                return found
            finally:
                await end_tasks([asking, closing])
        return None

    async def _failed(self, error: BotApiError) -> None:
        self._failures += 1
        lasting = isinstance(error, Unauthorized) or (isinstance(error, Conflict) and error.webhook)
        if lasting or self._failures >= TROUBLE_TELLS_AFTER:
            words = (
                f"{error}; delete it with deleteWebhook"
                if lasting and "webhook" in str(error)
                else str(error)
            )
            if not self._told:
                log.warning("the bot receives nothing; it tries again", error=words)
            self._told = True
            await self._state.receives(words, self._clock())
        pause = self._again.after(self._failures) * random.uniform(1.0, 1.0 + JITTER)
        if isinstance(error, Throttled):
            pause = error.retry_after
        await wait_at_most(self._closing, pause)

    async def _works(self) -> None:
        if self._told:
            log.info("the bot receives again")
            await self._state.receives(None, self._clock())
        self._failures, self._told = 0, False

    async def _forget(self) -> None:
        now = self._clock()
        if now - self._forgot_at > FORGET_EVERY:
            self._forgot_at = now
            await self._state.forget(now - KEEP_CARDS)
