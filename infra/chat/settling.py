"""Settling: ends the buttons of what is over, also where it was decided elsewhere or by time.

The notifier's events name the tasks that changed; only those that a card is about are looked at. A look at
all of them, at the start and now and then, finds what was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from adapters.notices.chat_state import SqlChatState
from domain.chat.cards import Card
from domain.chat.text import one_line
from domain.lifecycle.asyncio_tasks import wait_at_most
from domain.log.record import Recorded
from infra.chat import words
from infra.chat.answers import answer
from infra.chat.calls import Calls, short_actor
from infra.chat.sending import Sending
from towpath_client import AsyncClient, TowpathError, problems

LOOK_SECONDS = 1.0
LOOK_AT_ALL_SECONDS = 60.0
_GONE = "no longer known"
log = structlog.get_logger(__name__)


class Settling:
    """Looks at open cards."""

    def __init__(
        self,
        state: SqlChatState,
        calls: Calls,
        sending: Sending,
        clock: Callable[[], datetime],
        acting: asyncio.Lock,
        base_url: str | None,
        look_at_all_seconds: float = LOOK_AT_ALL_SECONDS,
    ) -> None:
        self._state = state
        self._calls = calls
        self._sending = sending
        self._clock = clock
        self._acting = acting
        self._base_url = base_url
        self._look_at_all_seconds = look_at_all_seconds
        self._open: dict[str, Card] = {}
        self._touched: set[str] = set()
        self._wake = asyncio.Event()

    def hear(self, events: Iterable[Recorded]) -> None:
        """Events of the log; those about tasks with an open card are looked into."""
        if self._open:
            found = {str(one.task_id) for one in events if one.task_id is not None}
            self._touch(found & {card.task_id for card in self._open.values()})

    def shown(self, card: Card) -> None:
        """A message shows this card; what it is about may be decided by now."""
        if card.kind != "pages":
            self._open[card.id] = card
            self._touch({card.task_id})

    def _touch(self, task_ids: set[str]) -> None:
        if task_ids:
            self._touched |= task_ids
            self._wake.set()

    async def run(self, closing: asyncio.Event) -> None:
        """Look until `closing` is set. Raises Closing."""
        loop = asyncio.get_running_loop()
        all_at = loop.time()
        while not closing.is_set():
            if loop.time() >= all_at:
                self._open = {card.id: card for card in await self._state.open_cards()}
                self._touched |= {card.task_id for card in self._open.values()}
                all_at = loop.time() + self._look_at_all_seconds
            await self._look()
            await wait_at_most(self._wake, LOOK_SECONDS)
            self._wake.clear()

    async def _look(self) -> None:
        touched, self._touched = self._touched, set()
        now = self._clock()
        for card in list(self._open.values()):
            if card.task_id in touched or card.is_over(now):
                async with self._acting:  # a press of it may be under way
                    await self._settle(card)

    async def _settle(self, card: Card) -> None:
        current = await self._state.card(card.id)
        if current is None or (current.outcome is not None and not current.edit_due):
            self._open.pop(card.id, None)
            return
        try:
            if card.kind == "task":
                await self._follow(card)
                return
            outcome = current.outcome or await self._outcome(await self._calls.of(None), card)
        except (problems.NoSuchTask, problems.NoSuchQuestion):
            outcome = _GONE
        except TowpathError as error:
            log.warning("whether buttons are over is not known now", error=str(error))
            if card.is_over(self._clock()):
                self._open.pop(card.id, None)  # until the next look at all
            return
        if outcome is not None:
            self._open.pop(card.id, None)
            await self._sending.end(card, outcome)

    async def _outcome(self, api: AsyncClient, card: Card) -> str | None:
        """What became of the card; None: it still waits."""
        if card.kind == "question":
            question = await api.question(card.task_id, card.question_id)
            if str(question.state) == "open":
                return None
            if question.answered_at is None or question.by is None:
                return "the attempt that asked is over"
            given, at = one_line(question.answer or "", 200), words.clock_time(question.answered_at)
            if question.cause == "expired":
                return f"nobody answered in time: `{given}` {at}"
            return f"answered `{given}` by {short_actor(question.by)} {at}"
        return words.over(card, await api.get(card.task_id), self._clock())

    async def _follow(self, card: Card) -> None:
        """The message about a task tells its end."""
        api = await self._calls.of(None)
        task = await api.get(card.task_id)
        if not task.ended:
            return
        self._open.pop(card.id, None)
        text = words.summary(task, self._clock(), self._base_url)
        await self._sending.end(
            card, words.status(task), answer(text, card, [[("why", "why"), ("log", "log")]])
        )
