"""What was told, and what could not be: read for people, and sent again for them.

Reading takes no lock that the notifier waits for. A digest stands for the notices in it: those have its
state, its tries and its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.notices.database import reading
from adapters.notices.owned_transaction import owned_transaction
from adapters.notices.rows import optional_time
from adapters.notices.tables import BUNDLED, DEAD, SENDING, WAITING, channels, configured, notices, notifier
from domain.lifecycle.asyncio_tasks import uncut
from domain.notices.message import Message
from domain.ports.notices import (
    ChannelFigures,
    GivenUp,
    KeptNotice,
    NoticeFilter,
    NoticePlace,
    ReplayOutcome,
    Standing,
)
from domain.protocol import rfc3339

_digest = notices.alias("digest")
_STATE = func.coalesce(_digest.c.state, notices.c.state).label("shown_state")


class SqlNoticeHistory:
    """Port `NoticeHistory` in the database of `engine`, whose tables exist."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @uncut
    async def standing(self) -> Standing:
        """See the port."""
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(notifier.c.owner, notifier.c.beat))).one()
            return Standing(row.owner, row.beat)

    @uncut
    async def figures(self, now: datetime) -> list[ChannelFigures]:
        """See the port."""
        waiting = func.sum(notices.c.members).filter(notices.c.state.in_((WAITING, SENDING)))
        dead = func.sum(notices.c.members).filter(notices.c.state == DEAD)
        overdue = func.min(func.coalesce(notices.c.first_try_at, notices.c.due_at)).filter(
            or_(
                notices.c.state == SENDING,
                and_(notices.c.state == WAITING, notices.c.due_at < rfc3339(now)),
                and_(notices.c.state == WAITING, notices.c.tries > 0),
            )
        )
        states = select(notices.c.channel, waiting, dead, overdue).group_by(notices.c.channel)
        async with reading(self._engine) as connection:
            counts = {row.name: row for row in await connection.execute(select(channels))}
            found = {row[0]: row for row in await connection.execute(states)}
            kinds = {row.name: row.kind for row in await connection.execute(select(configured))}
        return [
            ChannelFigures(
                name,
                counts[name].sent if name in counts else 0,
                counts[name].failed if name in counts else 0,
                int(found[name][1] or 0) if name in found else 0,
                int(found[name][2] or 0) if name in found else 0,
                optional_time(found[name][3]) if name in found else None,
                kinds.get(name),
            )
            for name in sorted({*counts, *found, *kinds})
        ]

    @uncut
    async def page(
        self, wanted: NoticeFilter, limit: int, behind: NoticePlace | None = None
    ) -> list[KeptNotice]:
        """See the port."""
        in_it = and_(_digest.c.channel == notices.c.channel, _digest.c.id == notices.c.bundle)
        fields: tuple[Any, ...] = (
            notices,
            _STATE,
            *(
                func.coalesce(_digest.c[name], notices.c[name]).label(f"shown_{name}")
                for name in ("due_at", "changed_at", "tries", "error", "again")
            ),
        )
        place = tuple_(notices.c.at, notices.c.id, notices.c.channel)
        asked = select(*fields).select_from(notices.outerjoin(_digest, in_it)).where(*_conditions(wanted))
        if behind is not None:
            asked = asked.where(place < tuple_(rfc3339(behind.at), behind.id, behind.channel))
        newest = (notices.c.at.desc(), notices.c.id.desc(), notices.c.channel.desc())
        async with reading(self._engine) as connection:
            rows = (await connection.execute(asked.order_by(*newest).limit(limit))).mappings().all()
        return [_kept(row) for row in rows]

    @uncut
    async def replay(
        self,
        now: datetime,
        *,
        ids: Sequence[str] | None = None,
        channel: str | None = None,
        upto: datetime | None = None,
    ) -> int:
        """See the port."""
        wanted = [notices.c.state == DEAD]
        if ids is not None:
            wanted.append(notices.c.id.in_(ids))
        if channel is not None:
            wanted.append(notices.c.channel == channel)
        if upto is not None:
            wanted.append(notices.c.changed_at <= rfc3339(upto))
        async with owned_transaction(self._engine, None) as connection:
            return await _replay(connection, now, *wanted)

    @uncut
    async def replay_seen(self, seen: Sequence[GivenUp], now: datetime) -> list[ReplayOutcome]:
        """See the port."""
        outcomes = list[ReplayOutcome]()
        async with owned_transaction(self._engine, None) as connection:
            told = set(await connection.scalars(select(configured.c.name)))
            for one in seen:
                if told and one.channel not in told:
                    outcomes.append("no-such-channel")
                    continue
                same = (
                    notices.c.channel == one.channel,
                    notices.c.id == one.id,
                    notices.c.changed_at == rfc3339(one.at),
                )
                replayed = await _replay(connection, now, notices.c.state == DEAD, *same)
                outcomes.append("replayed" if replayed else "changed")
        return outcomes


async def _replay(connection: AsyncConnection, now: datetime, *wanted: Any) -> int:
    """Make these due. What no channel sends any more would wait forever: it stays as it is."""
    known = select(configured.c.name)
    sends = or_(known.where(configured.c.name == notices.c.channel).exists(), ~known.exists())
    again = {"state": WAITING, "due_at": rfc3339(now), "tries": 0, "first_try_at": None}
    return (await connection.execute(update(notices).where(*wanted, sends).values(again))).rowcount


def _conditions(wanted: NoticeFilter) -> list[Any]:
    """A list for one task has each notice about it; others have digests in the place of what is in them."""
    found = list[Any]()
    if wanted.task_id is not None:
        found.append(notices.c.task_id == wanted.task_id)
        if wanted.state is not None:
            found.append(wanted.state == _STATE)
    elif wanted.state is not None:
        found.append(notices.c.state == wanted.state)
    else:
        found.append(notices.c.state != BUNDLED)
    if wanted.channel is not None:
        found.append(notices.c.channel == wanted.channel)
    return found


def _kept(row: Any) -> KeptNotice:
    message = Message.model_validate_json(row["message"])
    return KeptNotice(
        channel=row["channel"],
        message=message.told_again() if row["shown_again"] else message,
        state=row["shown_state"],
        at=datetime.fromisoformat(row["at"]),
        due_at=datetime.fromisoformat(row["shown_due_at"]),
        changed_at=optional_time(row["shown_changed_at"]),
        tries=row["shown_tries"],
        error=row["shown_error"],
        members=row["members"],
        digest=row["bundle"],
    )
