"""What operators do with notices: send a test, look at what was given up, send it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from adapters.notices.database import create_notice_tables
from adapters.notices.history import SqlNoticeHistory
from domain.errors import Busy
from domain.notices.conversation import NEW
from domain.notices.message import Message, Notice
from domain.ports.notices import KeptNotice, NoticeFilter
from infra.composition import new_id, now
from infra.config.settings import Settings
from infra.notices.channels import Channel
from infra.notices.notifier import open_notice_database
from infra.notices.senders import Senders

TEST_TYPE = "towpath.notice.test.v1"


async def send_test(channel: Channel) -> Message:
    """Send a test to the channel now. Raises NotSent."""
    text = f"test: the channel {channel.name} of Towpath works"
    message = Message(
        id=f"test_{new_id()}",
        type=TEST_TYPE,
        subject="towpath",
        at=now(),
        notice=Notice(name="test", text=text),
    )
    async with Senders() as senders:
        await senders.sender(channel.receiver).send(message, NEW)
    return message


@asynccontextmanager
async def opened_history(settings: Settings) -> AsyncIterator[SqlNoticeHistory]:
    """What was told, for looking at it."""
    engine = open_notice_database(settings)
    try:
        await create_notice_tables(engine)
        yield SqlNoticeHistory(engine)
    finally:
        await engine.dispose()


async def given_up(settings: Settings, limit: int) -> Sequence[KeptNotice]:
    """The newest notices that were given up. Raises Busy."""
    async with opened_history(settings) as history:
        return await history.page(NoticeFilter(state="dead"), limit)


async def send_again(settings: Settings, ids: Sequence[str] | None) -> int:
    """Let the notifier send these again (None: all); returns how many there were. Raises Busy."""
    async with opened_history(settings) as history:
        return await history.replay(now(), ids=ids)


@asynccontextmanager
async def history_if_configured(settings: Settings) -> AsyncIterator[SqlNoticeHistory | None]:
    """What was told, for an API; None where no notifier is configured."""
    if settings.notify is None:
        yield None
        return
    engine = open_notice_database(settings)
    try:
        with suppress(Busy):  # while the database is away, its reads say so
            await create_notice_tables(engine)
        yield SqlNoticeHistory(engine)
    finally:
        await engine.dispose()
