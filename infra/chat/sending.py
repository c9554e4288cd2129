"""Sends answers to chats: waits as Telegram asks, and tries again until it answers.

A chat that refuses for good (the bot was blocked, or has left it) gets nothing, and nothing waits for
that. While Telegram is away, the update that led to the answer is not done: it stays unacknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import structlog

from adapters.notices.chat_state import SqlChatState
from adapters.telegram.bot_api import BotApi, ChatId, Fixed
from adapters.telegram.errors import BotApiError, MessageGone, Refused, Throttled, Unreachable
from adapters.telegram.pace import Pace
from domain.backoff import Backoff
from domain.chat.cards import Card, Rows, Shown, callback_data, with_outcome
from domain.chat.text import MOST_UNITS, units
from domain.lifecycle.asyncio_tasks import wait_at_most
from infra.chat.answers import Answer

AGAIN = Backoff(first_seconds=1.0, longest_seconds=30.0)
JITTER = 0.2
log = structlog.get_logger(__name__)
T = TypeVar("T")


class Closing(Exception):
    """The bot is told to end; what is not done now is done after the next start."""


class Sending:
    """Sends, and notes where a card is shown. `on_shown` hears of each card that a message shows."""

    def __init__(
        self,
        api: BotApi,
        pace: Pace,
        state: SqlChatState,
        clock: Callable[[], datetime],
        closing: asyncio.Event,
    ) -> None:
        self._api = api
        self._pace = pace
        self._state = state
        self._clock = clock
        self._closing = closing
        self.on_shown: Callable[[Card], None] = lambda card: None

    async def send(
        self, chat_id: int, answer: Answer, *, reply_to: int | None = None, thread_id: int | None = None
    ) -> None:
        """Send an answer. Raises Closing."""
        card = answer.card
        if card is not None:
            await self._state.keep(card, self._clock())
        message_id = await self._patiently(
            chat_id,
            lambda: self._api.send_message(
                chat_id,
                answer.text,
                buttons=buttons(card, answer.rows),
                reply_to=reply_to,
                force_reply=answer.force_reply,
                thread_id=thread_id,
                fixed=[Fixed(*one) for one in answer.fixed],
            ),
        )
        if card is not None and message_id is not None:
            await self._state.shown(card.id, Shown(chat_id, message_id, answer.text, answer.fixed))
            self.on_shown(card)

    async def show(self, card: Card, answer: Answer) -> None:
        """Let all messages of the card say something else."""
        for place in await self._state.places(card.id):
            await self._edit(place, answer.text, answer)

    async def end(self, card: Card, outcome: str, says: Answer | None = None) -> None:
        """Note what became of a card, and let all its messages say it without buttons, or what `says` says.

        Until they do, also after a crash, the card is one of those that wait. Raises Closing.
        """
        await self._state.close(card.id, outcome)
        places = await self._state.places(card.id)
        for place in places:
            text = with_outcome(place.text, outcome, MOST_UNITS)
            said = says or Answer(text, fixed=place.fixed)
            await self._edit(place, said.text, said)
        await self._state.edited(card.id, len(places))

    async def _edit(self, place: Shown, text: str, answer: Answer) -> None:
        fixed = [Fixed(*one) for one in answer.fixed if sum(one) <= units(text)]
        with contextlib.suppress(MessageGone):
            await self._patiently(
                place.chat_id,
                lambda: self._api.edit_message(
                    place.chat_id,
                    place.message_id,
                    text,
                    buttons=buttons(answer.card, answer.rows),
                    fixed=fixed,
                ),
            )

    async def acknowledge(self, press_id: str, text: str = "", *, alert: bool = False) -> None:
        """Tell Telegram that a press was seen. Its being too late for that is nothing to us."""
        try:
            await self._api.answer_callback(press_id, text, alert=alert)
        except BotApiError as error:
            log.info("a press was not acknowledged", error=str(error))

    async def _patiently(self, chat_id: ChatId, request: Callable[[], Awaitable[T]]) -> T | None:
        """The answer to a request; None where it is refused for good. Raises Closing."""
        failures = 0
        while True:
            await self._pace.turn(chat_id)
            try:
                return await request()
            except Refused as error:
                log.info("a chat takes no message", error=str(error))
                return None
            except Throttled as error:
                pause = error.retry_after
                self._pace.throttled(chat_id, pause)
            except (Unreachable, BotApiError) as error:
                failures += 1
                pause = AGAIN.after(failures) * random.uniform(1.0, 1.0 + JITTER)
                log.warning("an answer is not sent yet", error=str(error))
            await wait_at_most(self._closing, pause)
            if self._closing.is_set():
                raise Closing


def buttons(card: Card | None, rows: Rows | None) -> list[list[tuple[str, str]]] | None:
    """The buttons of a card as Telegram takes them."""
    if card is None or not rows:
        return None
    return [[(label, callback_data(card.id, action)) for label, action in row] for row in rows]
