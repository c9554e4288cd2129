"""The chat bot's state in SQL: which updates are handled, what its buttons mean, and where they are shown.

An update is noted as handled after its effect. So after a crash it comes again, and whatever it led to is
done again: each effect is one that the API takes twice without doing it twice.
"""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.notices.chat_tables import bots, cards, messages
from adapters.notices.owned_transaction import owned_transaction
from domain.chat.cards import Card, Shown
from domain.lifecycle.asyncio_tasks import uncut
from domain.protocol import rfc3339


@dataclass(frozen=True, slots=True)
class BotStanding:
    """How a bot stands. `next_update` is 0 before its first one; `trouble`: why it receives nothing."""

    bot_id: int
    username: str
    next_update: int
    update_at: datetime
    trouble: str | None = None
    trouble_since: datetime | None = None


class SqlChatState:
    """The state of one bot, for the notifier `owner`; None: only to look at it."""

    def __init__(self, engine: AsyncEngine, owner: str | None, bot_id: int = 0) -> None:
        self._engine = engine
        self._owner = owner
        self.bot_id = bot_id
        make = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._make_bot = make(bots).on_conflict_do_nothing()
        put = make(messages)
        changed = {name: put.excluded[name] for name in ("card_id", "text", "fixed")}
        key = [messages.c.bot_id, messages.c.chat_id, messages.c.message_id]
        self._put_message = put.on_conflict_do_update(index_elements=key, set_=changed)

    def _transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return owned_transaction(self._engine, self._owner)

    # ------------------------------------------------------------------ updates

    @uncut
    async def begin(self, now: datetime) -> BotStanding:
        """Where to go on."""
        async with self._transaction() as connection:
            values = {"next_update": 0, "update_at": rfc3339(now), "username": ""}
            await connection.execute(self._make_bot, {"bot_id": self.bot_id, **values})
            mine = select(bots).where(bots.c.bot_id == self.bot_id)
            return _standing((await connection.execute(mine)).mappings().one())

    @uncut
    async def named(self, username: str) -> None:
        """Note the bot's name."""
        async with self._transaction() as connection:
            mine = update(bots).where(bots.c.bot_id == self.bot_id)
            await connection.execute(mine.values(username=username))

    @uncut
    async def handled(self, update_id: int, now: datetime) -> None:
        """Note that this update needs nothing more."""
        async with self._transaction() as connection:
            values = {"next_update": update_id + 1, "update_at": rfc3339(now)}
            await connection.execute(update(bots).where(bots.c.bot_id == self.bot_id).values(values))

    @uncut
    async def receives(self, trouble: str | None, now: datetime) -> None:
        """Note why nothing is received, or that it works again."""
        async with self._transaction() as connection:
            mine = update(bots).where(bots.c.bot_id == self.bot_id)
            if trouble is None:
                await connection.execute(mine.values(trouble=None, trouble_since=None))
                return
            await connection.execute(mine.values(trouble=trouble))
            since = {"trouble_since": rfc3339(now)}
            await connection.execute(mine.where(bots.c.trouble_since.is_(None)).values(since))

    @uncut
    async def standings(self) -> list[BotStanding]:
        """All bots that ever began."""
        async with self._transaction() as connection:
            return [_standing(row) for row in (await connection.execute(select(bots))).mappings()]

    # ------------------------------------------------------------------ cards

    @uncut
    async def keep(self, card: Card, now: datetime) -> None:
        """Keep a new card."""
        async with self._transaction() as connection:
            await connection.execute(insert(cards).values(self._row(card, now)))

    @uncut
    async def question(self, card: Card, now: datetime) -> Card:
        """The open card of this question; `card` where there is none yet."""
        same = and_(
            cards.c.bot_id == self.bot_id,
            cards.c.kind == "question",
            cards.c.task_id == card.task_id,
            cards.c.question_id == card.question_id,
        )
        async with self._transaction() as connection:
            row = (await connection.execute(select(cards).where(same))).mappings().first()
            if row is not None:
                return _card(row)
            await connection.execute(insert(cards).values(self._row(card, now)))
            return card

    @uncut
    async def shown(self, card_id: str, shown: Shown) -> None:
        """Note where a card is shown; if it is closed, the message has to say so."""
        row = {
            "bot_id": self.bot_id,
            "chat_id": str(shown.chat_id),
            "message_id": shown.message_id,
            "card_id": card_id,
            "text": shown.text,
            "fixed": json.dumps(shown.fixed),
        }
        async with self._transaction() as connection:
            await connection.execute(self._put_message, row)
            closed = and_(cards.c.id == card_id, cards.c.open.is_(False))
            await connection.execute(update(cards).where(closed).values(edit_due=True))

    @uncut
    async def card(self, card_id: str) -> Card | None:
        """The card with this id."""
        mine = and_(cards.c.id == card_id, cards.c.bot_id == self.bot_id)
        async with self._transaction() as connection:
            row = (await connection.execute(select(cards).where(mine))).mappings().first()
            return _card(row) if row is not None else None

    @uncut
    async def card_shown_by(self, chat_id: int, message_id: int) -> Card | None:
        """The card that this message shows."""
        here = and_(
            messages.c.bot_id == self.bot_id,
            messages.c.chat_id == str(chat_id),
            messages.c.message_id == message_id,
        )
        wanted = select(cards).join(messages, messages.c.card_id == cards.c.id).where(here)
        async with self._transaction() as connection:
            row = (await connection.execute(wanted)).mappings().first()
            return _card(row) if row is not None else None

    @uncut
    async def places(self, card_id: str) -> list[Shown]:
        """Where a card is shown."""
        wanted = select(messages).where(messages.c.card_id == card_id, messages.c.bot_id == self.bot_id)
        async with self._transaction() as connection:
            rows = (await connection.execute(wanted)).mappings().all()
        return [
            Shown(
                int(row["chat_id"]) if row["chat_id"].lstrip("-").isdigit() else row["chat_id"],
                row["message_id"],
                row["text"],
                tuple((begin, length) for begin, length in json.loads(row["fixed"])),
            )
            for row in rows
        ]

    @uncut
    async def open_cards(self) -> list[Card]:
        """The cards that wait for something, if only for an edit of their messages; the oldest first."""
        waits = or_(cards.c.open, cards.c.edit_due)
        mine = and_(cards.c.bot_id == self.bot_id, waits, cards.c.kind != "pages")
        async with self._transaction() as connection:
            rows = await connection.execute(select(cards).where(mine).order_by(cards.c.at))
            return [_card(row) for row in rows.mappings()]

    @uncut
    async def close(self, card_id: str, outcome: str) -> None:
        """Note what became of a card; the first outcome stands."""
        async with self._transaction() as connection:
            still = and_(cards.c.id == card_id, cards.c.open)
            closed = {"open": False, "outcome": outcome, "edit_due": True}
            await connection.execute(update(cards).where(still).values(closed))

    @uncut
    async def edited(self, card_id: str, places: int) -> None:
        """Note that a card's messages say its outcome, unless there are more than these by now."""
        mine = and_(messages.c.card_id == card_id, messages.c.bot_id == self.bot_id)
        count = select(func.count()).select_from(messages).where(mine).scalar_subquery()
        all_of_it = and_(cards.c.id == card_id, count == places)
        async with self._transaction() as connection:
            await connection.execute(update(cards).where(all_of_it).values(edit_due=False))

    @uncut
    async def forget(self, before: datetime) -> None:
        """Forget cards that were made before this time, and wait for nothing."""
        old = and_(
            cards.c.at < rfc3339(before),
            or_(cards.c.open.is_(False), cards.c.kind.in_(("pages", "task"))),
        )
        async with self._transaction() as connection:
            ids = select(cards.c.id).where(old)
            await connection.execute(delete(messages).where(messages.c.card_id.in_(ids)))
            await connection.execute(delete(cards).where(old))

    def _row(self, card: Card, now: datetime) -> dict[str, Any]:
        return {
            "id": card.id,
            "bot_id": self.bot_id,
            "kind": card.kind,
            "task_id": card.task_id,
            "attempt": card.attempt,
            "question_id": card.question_id,
            "user_id": card.user_id,
            "options": json.dumps(card.options),
            "data": json.dumps(card.data),
            "expires_at": rfc3339(card.expires_at) if card.expires_at is not None else None,
            "open": card.outcome is None,
            "outcome": card.outcome,
            "edit_due": card.edit_due,
            "at": rfc3339(now),
        }


def _card(row: Any) -> Card:
    return Card(
        id=row["id"],
        kind=row["kind"],
        task_id=row["task_id"],
        attempt=row["attempt"],
        question_id=row["question_id"],
        user_id=row["user_id"],
        options=tuple(json.loads(row["options"])),
        data=json.loads(row["data"]),
        expires_at=_time(row["expires_at"]),
        outcome=row["outcome"],
        edit_due=bool(row["edit_due"]),
    )


def _standing(row: Any) -> BotStanding:
    return BotStanding(
        row["bot_id"],
        row["username"],
        row["next_update"],
        datetime.fromisoformat(row["update_at"]),
        row["trouble"],
        _time(row["trouble_since"]),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
