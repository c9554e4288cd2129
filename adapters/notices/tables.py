"""Tables of the notifier, in SQLite or PostgreSQL.

What was told cannot be read from the log, so these tables are in a file (`notices.db`) or a schema of their
own, which no rebuild of the read model drops (docs/adr/0080-what-was-told-is-kept-apart.md). Nor does a new
version: it adds tables and columns, which may be null (`migrate`), and an older one works beside them.
Times are stored as RFC 3339 text, which sorts.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
)
from sqlalchemy.schema import CreateColumn

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
    _optional("chat"),
    Column("message_id", BigInteger),
    _optional("task_id"),
)
"""`chat`, `message_id`: where it is shown, if its channel is a chat."""
Index("notices_by_due", notices.c.channel, notices.c.state, notices.c.due_at)
Index("notices_by_change", notices.c.changed_at)
Index("notices_by_time", notices.c.at)
Index("notices_by_state", notices.c.state, notices.c.at)
Index("notices_by_task", notices.c.task_id, notices.c.at)

channels = Table(
    "channels",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("sent", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
)
"""Counts since the state was made: notices sent, and tries that failed."""

configured = Table("configured", metadata, Column("name", _TEXT, primary_key=True), _text("kind"))
"""The channels of the file that the notifier which worked last has read; empty before the first one."""

conversations = Table(
    "conversations",
    metadata,
    Column("channel", _TEXT, primary_key=True),
    Column("chat", _TEXT, primary_key=True),
    Column("topic", _TEXT, primary_key=True),
    Column("first", BigInteger),
    Column("edited", BigInteger),
    Column("loud", BigInteger),
    _text("names"),
    _text("changed_at"),
)
"""What each chat shows about a task or a runner; the numbers are ids of messages."""


def migrate(connection: Connection) -> None:
    """Add the tables and columns that are missing, in the caller's transaction; nothing is ever dropped."""
    metadata.create_all(connection)
    found, quote = inspect(connection), connection.dialect.identifier_preparer
    for table in metadata.sorted_tables:
        known = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                words = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {quote.format_table(table)} ADD COLUMN {words}")
