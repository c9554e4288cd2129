"""Tables of the read model, in SQLite or PostgreSQL.

All data can be rebuilt from the log, so a changed table needs no migration: raise SCHEMA_VERSION, and the
tables are recreated. Times are stored as the log writes them (RFC 3339, UTC, fixed width), which sort as text
and need no conversion. Indexes for lists contain the status, because a query reads one range per status and
merges them; this serves every choice of statuses with the fewest indexes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TextClause,
    func,
    literal_column,
    text,
)

SCHEMA_VERSION = 14
END_OF_ID = 33
"""Position, counted from 1, of a task id's last four characters; they are random, so an index finds ids."""

metadata = MetaData()

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")  # sorts by bytes, as SQLite does


def _text(name: str) -> Column[str]:
    return Column(name, _TEXT, nullable=False)


def _optional(name: str) -> Column[str]:
    return Column(name, _TEXT)


def _seq(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


tasks = Table(
    "tasks",
    metadata,
    Column("id", _TEXT, primary_key=True),
    _text("title"),
    _text("command"),
    _text("execution_mode"),
    _optional("workspace"),
    _text("lock_paths"),
    _text("lock_mode"),
    _text("on_conflict"),
    Column("lock_wait_seconds", Float),
    _text("pool"),
    _text("labels"),
    Column("timeout_seconds", Float),
    Column("timeout_pauses", Boolean, nullable=False),
    _optional("retry"),
    _text("created_at"),
    _text("status"),
    Column("attempt", Integer, nullable=False),
    _optional("dispatched_at"),
    _optional("queued_at"),
    _optional("started_at"),
    _optional("finished_at"),
    Column("exit_code", BigInteger),
    _optional("message"),
    _optional("reason"),
    _optional("runner_id"),
    Column("cancel_requested", Boolean, nullable=False),
    _optional("cancel_asked_at"),
    _optional("asked_at"),
    _optional("asked_until"),
    _optional("question"),
    _optional("output_tail"),
    _optional("ended_at"),
    Column("ended_on_request", Boolean, nullable=False),
    _optional("retry_bar"),
    _text("lock_state"),
    Column("lock_token", BigInteger),
    _optional("lock_since"),
    _seq("created_seq"),
    _seq("seq"),
    Column("version", Integer, nullable=False),
)
Index("tasks_by_creation", tasks.c.created_seq)
Index("tasks_by_status", tasks.c.status, tasks.c.created_at, tasks.c.id)
Index("tasks_by_pool", tasks.c.pool, tasks.c.status, tasks.c.created_at, tasks.c.id)
HAS_OPEN_LOCK = text("lock_state IN ('waiting', 'held')")
EXIT_IS_ERROR = text("exit_code <> 0")
TRIED_AGAIN = text("attempt > 1")
"""Conditions of partial indexes; a query that repeats one as it stands can use its index."""


def _partial(name: str, where: ColumnElement[bool] | TextClause, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


_partial("tasks_by_runner", tasks.c.runner_id.is_not(None), tasks.c.runner_id, tasks.c.created_at, tasks.c.id)
_partial("tasks_by_reason", tasks.c.reason.is_not(None), tasks.c.reason, tasks.c.created_at, tasks.c.id)
_partial("tasks_by_exit_code", EXIT_IS_ERROR, tasks.c.exit_code, tasks.c.created_at, tasks.c.id)
_partial("tasks_by_lock", HAS_OPEN_LOCK, tasks.c.lock_state, tasks.c.created_at, tasks.c.id)
_partial("tasks_tried_again", TRIED_AGAIN, tasks.c.created_at, tasks.c.id, tasks.c.attempt)
_partial("tasks_canceling", tasks.c.cancel_asked_at.is_not(None), tasks.c.cancel_asked_at)
_partial(
    "tasks_failed",
    tasks.c.ended_at.is_not(None),
    tasks.c.ended_at,
    tasks.c.ended_on_request,
    tasks.c.runner_id,
    tasks.c.status,
)
_partial(
    "tasks_by_workspace",
    tasks.c.workspace.is_not(None),
    tasks.c.workspace,
    tasks.c.status,
    tasks.c.created_at,
    tasks.c.id,
)
_partial("tasks_asking", tasks.c.asked_at.is_not(None), tasks.c.asked_at)
Index("tasks_by_end_of_id", func.substr(tasks.c.id, literal_column(str(END_OF_ID))))

status_counts = Table(
    "status_counts",
    metadata,
    Column("status", _TEXT, primary_key=True),
    _seq("number"),
)
"""The number of tasks in each status; kept, since counting them takes longer the more there are."""

event_index = Table(
    "event_index",
    metadata,
    Column("event", _TEXT, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    _text("offsets"),
    sqlite_with_rowid=False,
)
"""Where events of each name stand in the log; see `event_index.py`."""

task_labels = Table(
    "task_labels",
    metadata,
    Column("key", _TEXT, primary_key=True),
    Column("value", _TEXT, primary_key=True),
    Column("created_at", _TEXT, primary_key=True),
    Column("task_id", _TEXT, primary_key=True),
    sqlite_with_rowid=False,
)

grants = Table(
    "grants",
    metadata,
    Column("task_id", _TEXT, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    _text("workspace"),
    Column("claimed_seq", BigInteger),
    _optional("claimed_at"),
    Column("granted_seq", BigInteger),
    _optional("granted_at"),
    Column("refused_seq", BigInteger),
    _optional("refused_at"),
    Column("released_seq", BigInteger),
    _optional("released_at"),
    Column("left_seq", BigInteger),
    _optional("left_at"),
    _optional("runner_id"),
    Column("bound_seq", BigInteger),
    _optional("cause"),
    Column("last_seq", BigInteger),
    sqlite_with_rowid=False,
)
Index("grants_by_workspace", grants.c.workspace, grants.c.last_seq)
Index("grants_by_claim", grants.c.workspace, grants.c.claimed_seq)

judged_registrations = Table(
    "judged_registrations",
    metadata,
    Column("id", _TEXT, primary_key=True),
    _text("root"),
    _text("on_runner_lost"),
    _seq("seq"),
    Column("version", Integer, nullable=False),
)

judged_claims = Table(
    "judged_claims",
    metadata,
    Column("task_id", _TEXT, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    _text("workspace"),
    Column("granted", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

positions = Table(
    "positions", metadata, Column("name", _TEXT, primary_key=True), _seq("seq"), _optional("event_id")
)

snapshots = Table(
    "checkpoints",  # an older word for snapshots of folds; the stored name stays
    metadata,
    Column("name", _TEXT, primary_key=True),
    _seq("seq"),
    _text("state"),
)

Index("snapshots_by_position", snapshots.c.seq)

schema_version = Table(
    "schema_version",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
