"""The notifier's state in SQL: position, watches, and each notice from `waiting` to `sent`.

A step of the log is one transaction with everything that it leads to, so a crash leaves all or nothing of it.
Every change first checks, under a lock that lasts until the commit, that this notifier is still the one that
works; so of two, only one ever sends.

No transaction is cut off by a cancellation: the driver of SQLite may then never answer again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.notices.owned_transaction import owned_transaction
from adapters.notices.rows import (
    as_conversation,
    as_watch,
    conversation_row,
    notice_row,
    optional_time,
    watch_row,
)
from adapters.notices.tables import (
    BUNDLED,
    DEAD,
    SENDING,
    SENT,
    UNSURE,
    WAITING,
    channels,
    configured,
    conversations,
    notices,
    notifier,
    watches,
)
from domain.identifiers import LogSeq
from domain.lifecycle.asyncio_tasks import uncut
from domain.log.position import Position
from domain.notices.conversation import NEW, Conversation, topic_of
from domain.notices.digest import FIRST, Share, digest
from domain.notices.message import Message
from domain.notices.watches import Changes
from domain.ports.notices import (
    ANY,
    Outgoing,
    Placed,
    Posted,
    Pull,
    Standing,
    Start,
    Step,
)
from domain.protocol import rfc3339

DIGEST = "digest"
URGENT_TIMES = 4
"""What is urgent is folded only where it is so many times more than what else would be."""
_FINISHED = (SENT, DEAD, BUNDLED, UNSURE)


class SqlNoticeState:
    """Port `NoticeState` for the notifier `owner`, in the database of `engine`, whose tables exist."""

    def __init__(self, engine: AsyncEngine, owner: str) -> None:
        self._engine = engine
        self.owner = owner
        make = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._insert_notice = make(notices).on_conflict_do_nothing()
        self._put_watch, self._put_conversation = (_putting(make, one) for one in (watches, conversations))
        self._make_channel = make(channels).on_conflict_do_nothing()

    # ------------------------------------------------------------------ who works

    @uncut
    async def standing(self) -> Standing:
        """See the port."""
        async with self._transaction(owned=False) as connection:
            row = (await connection.execute(select(notifier.c.owner, notifier.c.beat))).one()
            return Standing(row.owner, row.beat)

    @uncut
    async def take(self, seen: Standing) -> bool:
        """See the port."""
        async with self._transaction(owned=False) as connection:
            same = and_(notifier.c.owner.is_not_distinct_from(seen.owner), notifier.c.beat == seen.beat)
            taken = update(notifier).where(same).values(owner=self.owner, beat=seen.beat + 1)
            return (await connection.execute(taken)).rowcount == 1

    @uncut
    async def beat(self) -> None:
        """See the port."""
        async with self._transaction() as connection:
            await connection.execute(update(notifier).values(beat=notifier.c.beat + 1))

    @uncut
    async def leave(self) -> None:
        """See the port."""
        async with self._transaction() as connection:
            await connection.execute(update(notifier).values(owner=None, beat=notifier.c.beat + 1))

    # ------------------------------------------------------------------ from the log

    @uncut
    async def configure(self, kinds: Mapping[str, str]) -> None:
        """See the port."""
        async with self._transaction() as connection:
            await connection.execute(delete(configured))
            rows = [{"name": name, "kind": kind} for name, kind in kinds.items()]
            if rows:
                await connection.execute(insert(configured), rows)

    @uncut
    async def start(self, now: datetime) -> Start:
        """See the port."""
        async with self._transaction() as connection:
            interrupted = and_(notices.c.state == SENDING, notices.c.name != DIGEST)
            back = {"state": WAITING, "again": True, "due_at": rfc3339(now)}
            await connection.execute(update(notices).where(interrupted).values(back))
            unsure = {"state": UNSURE, "changed_at": rfc3339(now)}
            await connection.execute(update(notices).where(notices.c.state == SENDING).values(unsure))
            row = (await connection.execute(select(notifier))).one()
            open_now = (await connection.execute(select(watches))).mappings().all()
            ends = select(notices.c.channel, func.max(notices.c.due_at)).where(
                notices.c.state == WAITING, notices.c.bundles, notices.c.due_at > rfc3339(now)
            )
            windows = (await connection.execute(ends.group_by(notices.c.channel))).all()
        return Start(
            Position(LogSeq(row.seq), row.event_id) if row.seq is not None else None,
            row.dead_seq,
            [as_watch(one) for one in open_now],
            {channel: datetime.fromisoformat(end) for channel, end in windows},
        )

    @uncut
    async def record(self, step: Step) -> None:
        """See the port."""
        async with self._transaction() as connection:
            if step.position is not None:
                moved = {"seq": step.position.seq, "event_id": step.position.event_id}
                await connection.execute(update(notifier).values(moved))
            if step.dead_seq is not None:
                await connection.execute(update(notifier).values(dead_seq=step.dead_seq))
            if step.notices:
                await connection.execute(self._insert_notice, [notice_row(one) for one in step.notices])
            if step.watches is not None:
                await self._change(connection, step.watches)

    async def _change(self, connection: AsyncConnection, changes: Changes) -> None:
        if changes.ended:
            await connection.execute(delete(watches).where(watches.c.key.in_(list(changes.ended))))
        if changes.opened:
            await connection.execute(self._put_watch, [watch_row(one) for one in changes.opened.values()])

    # ------------------------------------------------------------------ sending

    @uncut
    async def next(self, channel: str, now: datetime, pull: Pull = ANY) -> Outgoing | None:
        """See the port."""
        due = and_(notices.c.channel == channel, notices.c.state == WAITING, notices.c.due_at <= rfc3339(now))
        if pull.urgent_only:
            due = and_(due, notices.c.urgent)
        order: tuple[Any, ...] = (notices.c.due_at, notices.c.at, notices.c.id)
        if pull.most_due is not None:  # what is urgent does not queue behind the rest
            order = (notices.c.urgent.desc(), *order)
        async with self._transaction() as connection:
            first = await connection.execute(select(notices).where(due).order_by(*order).limit(1))
            row = first.mappings().first()
            if row is None:
                return None
            if pull.most_due is not None:
                folded = await self._fold(connection, channel, due, pull.most_due, now)
                if folded is not None:
                    return folded
            if row["bundles"]:
                made = await self._bundle(connection, channel, and_(due, notices.c.bundles), now)
                if made is not None:
                    return made
            started = {"state": SENDING, "first_try_at": row["first_try_at"] or rfc3339(now)}
            await connection.execute(update(notices).where(_is(channel, row["id"])).values(started))
            message = Message.model_validate_json(row["message"])
            before = await self._conversation(connection, channel, pull.chat, message)
        if row["again"]:
            message = message.told_again()
        return Outgoing(
            message,
            channel,
            row["members"],
            row["tries"],
            optional_time(row["first_try_at"]) or now,
            row["urgent"],
            before,
        )

    async def _fold(
        self, connection: AsyncConnection, channel: str, due: Any, most: int, now: datetime
    ) -> Outgoing | None:
        """A digest of what is due, if that is more than `most`; what is urgent only if it is far more."""
        due = and_(due, notices.c.name != DIGEST)
        counted = select(notices.c.urgent, func.count()).where(due).group_by(notices.c.urgent)
        numbers = {row[0]: row[1] for row in await connection.execute(counted)}
        if numbers.get(True, 0) <= most * URGENT_TIMES:
            if numbers.get(True, 0) or numbers.get(False, 0) <= most:
                return None
            due = and_(due, ~notices.c.urgent)
        made = await self._bundle(connection, channel, due, now)
        return replace(made, folded=True) if made is not None else None

    async def _conversation(
        self, connection: AsyncConnection, channel: str, chat: str, message: Message
    ) -> Conversation:
        topic = topic_of(message)
        if not chat or topic is None:
            return NEW
        found = await connection.execute(select(conversations).where(_about(channel, chat, topic)))
        return as_conversation(found.mappings().first())

    async def _bundle(
        self, connection: AsyncConnection, channel: str, due: Any, now: datetime
    ) -> Outgoing | None:
        """Make a digest of the notices that are `due`, and mark it as being sent; None where one is."""
        keys = (notices.c.name, notices.c.place, notices.c.runner_id)
        counted = select(*keys, func.count().label("number")).where(due).group_by(*keys).order_by(*keys)
        shares = [
            Share(row.name, row.place, row.runner_id, row.number) for row in await connection.execute(counted)
        ]
        number = sum(share.count for share in shares)
        if number < 2:
            return None
        earliest = select(notices.c.message).where(due).order_by(notices.c.at, notices.c.id).limit(FIRST)
        first = [Message.model_validate_json(text) for text in await connection.scalars(earliest)]
        message = digest(now, shares, first)
        place = Placed(channel, message, DIGEST, "", "", now, now, bundles=False, urgent=False)
        row = notice_row(place) | {"state": SENDING, "members": number, "first_try_at": rfc3339(now)}
        await connection.execute(insert(notices).values(row))
        joined = {"state": BUNDLED, "bundle": message.id, "changed_at": rfc3339(now)}
        await connection.execute(update(notices).where(due).values(joined))
        return Outgoing(message, channel, number, 0, now, urgent=False)

    @uncut
    async def sent(self, one: Outgoing, now: datetime, posted: Posted | None = None) -> None:
        """See the port."""
        done: dict[str, Any] = {"state": SENT, "changed_at": rfc3339(now), "error": None}
        async with self._transaction() as connection:
            if posted is not None:
                done |= {"chat": posted.chat, "message_id": posted.message_id}
                if posted.topic is not None:
                    shown = conversation_row(posted.conversation) | {"changed_at": rfc3339(now)}
                    key = {"channel": one.channel, "chat": posted.chat, "topic": posted.topic}
                    await connection.execute(self._put_conversation, key | shown)
            await connection.execute(update(notices).where(_is(one.channel, one.message.id)).values(done))
            await self._count(connection, one.channel, sent=one.members)

    @uncut
    async def failed(
        self, one: Outgoing, now: datetime, why: str, again_at: datetime | None, *, unsure: bool = False
    ) -> None:
        """See the port."""
        state: dict[str, Any] = {"error": why, "tries": one.tries + 1, "changed_at": rfc3339(now)}
        state |= {"state": DEAD} if again_at is None else {"state": WAITING, "due_at": rfc3339(again_at)}
        state |= {"again": True} if unsure else {}
        async with self._transaction() as connection:
            failed = update(notices).where(_is(one.channel, one.message.id))
            await connection.execute(failed.values(**state, bundles=False))
            await self._count(connection, one.channel, failed=1)

    async def _count(self, connection: AsyncConnection, channel: str, sent: int = 0, failed: int = 0) -> None:
        await connection.execute(self._make_channel, {"name": channel, "sent": 0, "failed": 0})
        added = {"sent": channels.c.sent + sent, "failed": channels.c.failed + failed}
        await connection.execute(update(channels).where(channels.c.name == channel).values(added))

    @uncut
    async def forget(self, before: datetime) -> None:
        """See the port."""
        old = and_(notices.c.state.in_(_FINISHED), notices.c.changed_at < rfc3339(before))
        over = conversations.c.changed_at < rfc3339(before)
        async with self._transaction() as connection:
            await connection.execute(delete(notices).where(old))
            await connection.execute(delete(conversations).where(over))

    @asynccontextmanager
    async def _transaction(self, *, owned: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; if `owned`, only while this notifier is the one that works."""
        async with owned_transaction(self._engine, self.owner if owned else None) as connection:
            yield connection


def _is(channel: str, id: str) -> Any:
    return and_(notices.c.channel == channel, notices.c.id == id)


def _about(channel: str, chat: str, topic: str) -> Any:
    of = conversations.c
    return and_(of.channel == channel, of.chat == chat, of.topic == topic)


def _putting(make: Any, table: Table) -> Any:
    """Insert a row, or replace the one with the same key."""
    put = make(table)
    changed = {c.name: put.excluded[c.name] for c in table.columns if not c.primary_key}
    return put.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)
