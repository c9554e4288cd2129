"""Notices as an API shows them: channels, what was told about a task, and whether a notifier works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field

from api.dependencies import ApiParts
from domain.identifiers import RunnerId, TaskId
from domain.ports.notices import ChannelFigures, KeptNotice, NoticeStatus, Standing

SILENT_AFTER = timedelta(seconds=10)
"""A notifier raises its count every two seconds; the others take over after as long as this."""
NotifierState = Literal["works", "silent", "none", "unknown"]


class ChannelRead(BaseModel):
    """A channel and the counts of its notices. Neither its URL nor its secret is known to the API."""

    name: str
    kind: str | None = Field(
        description="null: the notifier's file has no such channel, so nothing is sent to it"
    )
    sent: int
    failed: int = Field(description="tries that failed; one notice may have several")
    waiting: int
    dead: int = Field(description="given up; kept for 14 days")
    lag_seconds: float = Field(description="how late the notice that is due first is, or 0")


class ChannelsRead(BaseModel):
    """All channels. `configured`: whether this API knows the file of TOWPATH_NOTIFY.

    `notifier`: `works`; `silent`, when it was killed or cannot reach its database; `none`, when the last one
    has ended; `unknown` for the first seconds after an API was not asked for a while.
    """

    configured: bool
    notifier: NotifierState
    channels: list[ChannelRead]


class NoticeRead(BaseModel):
    """A notice for one channel, and what has become of it.

    `text` is what is told, in words. `at`: when it was to be told first; `next_try_at`: of one that waits;
    `settled_at`: when it was sent or given up. `members`: how many notices a digest tells, else 1.
    `in_digest`: it went out in one, whose state this is.
    """

    channel: str
    id: str
    name: str = Field(description="the event or condition", examples=["failed", "runner-lost"])
    state: NoticeStatus
    text: str
    task_id: TaskId | None
    title: str | None
    runner_id: RunnerId | None
    at: datetime
    next_try_at: datetime | None
    settled_at: datetime | None
    tries: int = Field(description="how many have failed")
    error: str | None = Field(description="why the last try failed")
    members: int
    in_digest: bool
    again: bool = Field(description="it may have been told before, as the notifier ended during a send")


@dataclass(frozen=True, slots=True)
class _Look:
    seen: Standing
    first: datetime
    """When this API saw it first."""
    before: datetime | None
    """When it saw another count the last time: this one was raised after that."""


class NotifierWatch:
    """Whether a notifier works: it raises a count, so two looks tell, without comparing clocks."""

    def __init__(self) -> None:
        self._last: _Look | None = None
        self._looked: datetime | None = None

    def look(self, seen: Standing, now: datetime) -> NotifierState:
        """What `seen` tells, `now`, beside what was seen before."""
        last = self._last
        if last is None or last.seen != seen:
            last = self._last = _Look(seen, now, self._looked)
        self._looked = now
        if seen.owner is None:
            return "none"
        if last.before is not None and now - last.before <= SILENT_AFTER:
            return "works"
        return "silent" if now - last.first >= SILENT_AFTER else "unknown"


async def channels_read(parts: ApiParts, watch: NotifierWatch) -> ChannelsRead:
    """All channels as of now. Raises Busy."""
    if parts.notices is None:
        return ChannelsRead(configured=False, notifier="none", channels=[])
    now = parts.clock()
    state = watch.look(await parts.notices.standing(), now)
    figures = await parts.notices.figures(now)
    return ChannelsRead(configured=True, notifier=state, channels=[_channel(one, now) for one in figures])


def _channel(one: ChannelFigures, now: datetime) -> ChannelRead:
    return ChannelRead(
        name=one.channel,
        kind=one.kind,
        sent=one.sent,
        failed=one.failed,
        waiting=one.waiting,
        dead=one.dead,
        lag_seconds=max((now - one.oldest).total_seconds(), 0.0) if one.oldest is not None else 0.0,
    )


def notice_read(one: KeptNotice) -> NoticeRead:
    """The notice without the data of its event, which the trail has for auditors."""
    notice = one.message.notice
    return NoticeRead(
        channel=one.channel,
        id=one.message.id,
        name=notice.name,
        state=one.state,
        text=notice.text,
        task_id=notice.task.id if notice.task is not None else None,
        title=notice.task.title if notice.task is not None else None,
        runner_id=notice.runner_id,
        at=one.at,
        next_try_at=one.due_at if one.state == "waiting" else None,
        settled_at=one.changed_at if one.state in ("sent", "dead", "unsure") else None,
        tries=one.tries,
        error=one.error,
        members=one.members,
        in_digest=one.digest is not None,
        again=notice.again,
    )


def undelivered(figures: Sequence[ChannelFigures]) -> tuple[int, list[str]]:
    """How many notices were given up, and the channels that they were for."""
    dead = [one for one in figures if one.dead]
    return sum(one.dead for one in dead), [one.channel for one in dead]
