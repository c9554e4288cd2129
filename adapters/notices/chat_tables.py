"""Tables of the chat bot, beside the notifier's: what each bot has handled, and what its buttons mean."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from adapters.notices.tables import metadata

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

bots = Table(
    "chat_bots",
    metadata,
    Column("bot_id", BigInteger, primary_key=True, autoincrement=False),
    Column("next_update", BigInteger, nullable=False),
    Column("update_at", _TEXT, nullable=False),
    Column("username", _TEXT, nullable=False),
    Column("trouble", _TEXT),
    Column("trouble_since", _TEXT),
)
"""`next_update`: the first that was not handled. `trouble`: why nothing is received, null while it works."""

cards = Table(
    "chat_cards",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("bot_id", BigInteger, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("task_id", _TEXT, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("question_id", _TEXT, nullable=False),
    Column("user_id", BigInteger),
    Column("options", _TEXT, nullable=False),
    Column("data", _TEXT, nullable=False),
    Column("expires_at", _TEXT),
    Column("open", Boolean, nullable=False),
    Column("outcome", _TEXT),
    Column("at", _TEXT, nullable=False),
    Column("edit_due", Boolean),
)
"""`edit_due`: it is closed, and not all of its messages say so yet."""
Index("chat_cards_by_open", cards.c.bot_id, cards.c.open)
Index("chat_cards_by_question", cards.c.task_id, cards.c.question_id)

messages = Table(
    "chat_messages",
    metadata,
    Column("bot_id", BigInteger, primary_key=True, autoincrement=False),
    Column("chat_id", _TEXT, primary_key=True),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("card_id", _TEXT, nullable=False),
    Column("text", _TEXT, nullable=False),
    Column("fixed", _TEXT, nullable=False),
)
"""Messages that show a card, as they were sent."""
Index("chat_messages_by_card", messages.c.card_id)
