"""Tables of the notifier, in SQLite or PostgreSQL.

What was told cannot be read from the log, so these tables are in a file (`notices.db`) or a schema of their
own, which no rebuild of the read model drops (docs/adr/0080-what-was-told-is-kept-apart.md). Nothing changes
them yet: a version that does has to migrate them. Times are stored as RFC 3339 text, which sorts.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text

POSTGRES_SCHEMA = "towpath_notices"
WAITING, SENDING, SENT, DEAD, BUNDLED, UNSURE = "waiting", "sending", "sent", "dead", "bundled", "unsure"
"""States of a notice. `bundled`: in the digest `bundle`, whose state counts. `unsure`: the notifier ended
while it sent this digest, which is not sent again."""

metadata = MetaData()
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str) -> Column[str]:
    return Column(name, _TEXT, nullable=False)


def _optional(name: str) -> Column[str]:
    return Column(name, _TEXT)


notifier = Table(
    "notifier",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger),
    _optional("event_id"),
    Column("dead_seq", BigInteger, nullable=False),
    _optional("owner"),
    Column("beat", BigInteger, nullable=False),
)
"""One row: the position in the log (null: it never worked), and which notifier works."""

watches = Table(
    "watches",
    metadata,
    Column("key", _TEXT, primary_key=True),
    _text("trigger"),
    _text("since"),
    _text("source_id"),
    _optional("task_id"),
    Column("attempt", Integer, nullable=False),
    _optional("runner_id"),
    _optional("told_to"),
)

notices = Table(
    "notices",
    metadata,
    Column("channel", _TEXT, primary_key=True),
    Column("id", _TEXT, primary_key=True),
    _text("name"),
    _text("place"),
    _text("runner_id"),
    _text("state"),
    _text("at"),
    _text("due_at"),
    Column("bundles", Boolean, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("again", Boolean, nullable=False),
    _optional("bundle"),
    Column("members", Integer, nullable=False),
    _text("message"),
    Column("tries", Integer, nullable=False),
    _optional("first_try_at"),
    _optional("changed_at"),
    _optional("error"),
)
Index("notices_by_due", notices.c.channel, notices.c.state, notices.c.due_at)
Index("notices_by_change", notices.c.changed_at)

channels = Table(
    "channels",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("sent", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
)
"""Counts since the state was made: notices sent, and tries that failed."""
