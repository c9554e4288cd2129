"""The chat bot's state: an update is handled once it is noted, a card keeps its first outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.notices.chat_state import SqlChatState
from adapters.notices.database import create_notice_tables
from adapters.notices.tables import POSTGRES_SCHEMA
from adapters.read_model.database import open_database
from domain.chat.cards import Card, Shown
from domain.ports.notices import Superseded

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARD = Card(
    "nonce",
    "question",
    "task",
    2,
    "q",
    options=("yes", "nö"),
    data={"free_text": True},
    expires_at=NOW + timedelta(seconds=60),
)


@pytest.fixture
async def state(url: str) -> AsyncIterator[SqlChatState]:
    engine = open_database(url, schema=POSTGRES_SCHEMA, survives_power_cut=True)
    await create_notice_tables(engine)
    yield SqlChatState(engine, None, 4711)
    with pytest.raises(Superseded):
        await SqlChatState(engine, "another", 4711).handled(1, NOW)
    await engine.dispose()


async def test_updates_and_troubles_are_kept(state: SqlChatState) -> None:
    assert (await state.begin(NOW)).next_update == 0
    await state.named("a_bot")
    await state.handled(2**40, NOW)
    await state.receives("another polls", NOW)
    await state.receives("another still polls", NOW + timedelta(minutes=1))
    found = await state.begin(NOW + timedelta(days=1))
    assert (found.next_update, found.username, found.update_at) == (2**40 + 1, "a_bot", NOW)
    assert (found.trouble, found.trouble_since) == ("another still polls", NOW)
    await state.receives(None, NOW)
    assert [one.trouble for one in await state.standings()] == [None]


async def test_a_card_is_one_and_keeps_its_first_outcome(state: SqlChatState) -> None:
    assert await state.question(CARD, NOW) == CARD
    assert await state.question(replace(CARD, id="other"), NOW) == CARD
    await state.shown("nonce", Shown(-100, 7, "Deploy?", ((0, 3),)))
    await state.shown("nonce", Shown("@room", 8, "Deploy?"))
    await state.shown("nonce", Shown(-100, 7, "Deploy? again"))
    places = sorted(await state.places("nonce"), key=lambda one: one.message_id)
    assert places == [Shown(-100, 7, "Deploy? again"), Shown("@room", 8, "Deploy?")]
    assert await state.card_shown_by(-100, 7) == CARD
    assert await state.card_shown_by(7, 7) is None
    assert await state.open_cards() == [CARD]
    await state.forget(NOW + timedelta(days=1))
    await state.close("nonce", "answered")
    await state.close("nonce", "answered by another")
    closed = replace(CARD, outcome="answered")
    await state.edited("nonce", 1)
    assert await state.open_cards() == [replace(closed, edit_due=True)]
    await state.edited("nonce", 2)
    assert await state.card("nonce") == closed
    assert await state.open_cards() == []
    await state.shown("nonce", Shown(-100, 9, "Deploy?"))
    assert await state.open_cards() == [replace(closed, edit_due=True)]
    await state.forget(NOW + timedelta(days=1))
    assert await state.card("nonce") is None
    assert await state.places("nonce") == []
