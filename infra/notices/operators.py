"""What operators do with notices: send a test, look at what was given up, send it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from adapters.notices.store import SqlNoticeState, create_notice_tables
from domain.errors import Busy
from domain.notices.conversation import NEW
from domain.notices.message import Message, Notice
from domain.ports.notices import ChannelFigures, DeadNotice
from infra.composition import new_id, now
from infra.config.settings import Settings
from infra.notices.channels import Channel
from infra.notices.notifier import open_notice_database
from infra.notices.senders import Senders

Figures = Callable[[], Awaitable[Sequence[ChannelFigures]]]
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
async def opened_state(settings: Settings) -> AsyncIterator[SqlNoticeState]:
    """The notifier's state, for looking at it."""
    engine = open_notice_database(settings)
    try:
        await create_notice_tables(engine)
        yield SqlNoticeState(engine, "")
    finally:
        await engine.dispose()


async def given_up(settings: Settings, limit: int) -> list[DeadNotice]:
    """The newest notices that were given up. Raises Busy."""
    async with opened_state(settings) as state:
        return await state.dead(limit)


async def send_again(settings: Settings, ids: Sequence[str] | None) -> int:
    """Let the notifier send these again (None: all); returns how many there were. Raises Busy."""
    async with opened_state(settings) as state:
        return await state.replay(ids, now())


@asynccontextmanager
async def opened_figures(settings: Settings) -> AsyncIterator[Figures | None]:
    """Tells what became of the notices of each channel; None where no notifier is configured."""
    if settings.notify is None:
        yield None
        return
    engine = open_notice_database(settings)
    state = SqlNoticeState(engine, "")
    try:
        with suppress(Busy):  # while the database is away, there are no figures
            await create_notice_tables(engine)
        yield lambda: state.figures(now())
    finally:
        await engine.dispose()
