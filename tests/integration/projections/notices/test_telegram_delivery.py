"""Delivery to chats, with a real state and a Bot API on loopback: limits, crashes at each step, outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from adapters.notices.telegram import TelegramChat, TelegramSender
from adapters.telegram.bot_api import BotApi
from adapters.telegram.pace import Limits, Pace
from domain.backoff import Backoff
from domain.notices.message import Message, Notice, NoticeTask
from domain.notices.schedule import QuietHours, Timing
from domain.ports.notices import ANY, Outgoing, Placed, Posted, Pull, Step
from projections.notices.delivery import Delivery
from tests.integration.projections.notices.harness import open_state_database, sqlite_url
from tests.support.messages import now
from tests.support.telegram.bot_api_server import ANN, TOKEN, FakeBotApi, Refusal, serving_bot_api, throttled
from tests.support.waiting import eventually

GROUP = -100
FAST = 50
"""How many times faster than for people the limits are here."""
SCALED = Limits(1.05 / FAST, 20, 61.0 / FAST, 30, 1.05 / FAST)
DEADLINE = 60.0


@pytest.fixture
async def telegram() -> AsyncIterator[FakeBotApi]:
    async with serving_bot_api() as running:
        yield running


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SqlNoticeState]:
    engine = await open_state_database(sqlite_url(tmp_path))
    made = SqlNoticeState(engine, "one")
    assert await made.take(await made.standing())
    yield made
    await engine.dispose()


def placed(id: str, name: str = "failed", task_id: str = "t1", channel: str = "ops") -> Placed:
    task = NoticeTask(id=task_id, title="x", attempt=1, workspace="shop", pool="p", labels={}, runner_id=None)
    notice = Notice(name=name, text=f"{name}: x {id}", task=task)
    message = Message(id=id, type="t", subject=task_id, at=now(), notice=notice)
    return Placed(channel, message, name, "shop", "r1", now(), now(), False, name == "asked")


class Running(NamedTuple):
    """A delivery, and the task that runs it."""

    delivery: Delivery
    task: asyncio.Task[None]


@asynccontextmanager
async def delivering(
    telegram: FakeBotApi,
    state: SqlNoticeState,
    *,
    chat_id: int = ANN,
    channel: str = "ops",
    quiet: QuietHours | None = None,
) -> AsyncIterator[Running]:
    async with BotApi(TOKEN, telegram.url, answer_seconds=5.0) as api:
        sender = TelegramSender(TelegramChat(TOKEN, chat_id, None, telegram.url), api, Pace(SCALED))
        retry = Backoff(first_seconds=0.05, longest_seconds=0.1)
        collect = timedelta(seconds=30 / FAST)
        delivery = Delivery(channel, Timing(quiet=quiet), sender, state, now, retry=retry, collect=collect)
        closing = asyncio.Event()
        running = asyncio.create_task(delivery.run(closing))
        try:
            yield Running(delivery, running)
        finally:
            closing.set()
            delivery.wake()
            with suppress(Killed):
                await running


async def test_a_burst_of_ten_thousand_keeps_the_limits_and_the_digests_count_all(
    telegram: FakeBotApi, state: SqlNoticeState
) -> None:
    chat = telegram.chat(GROUP, kind="supergroup", title="ops")
    began = asyncio.get_running_loop().time()
    async with delivering(telegram, state, chat_id=GROUP) as running:
        for start in range(0, 10_000, 500):  # a minute, at this speed
            await state.record(
                Step(notices=[placed(f"e{n:05}", task_id=f"t{n}") for n in range(start, start + 500)])
            )
            running.delivery.wake()
            await asyncio.sleep(60 / FAST / 20)

        async def all_sent() -> bool:
            (figures,) = await SqlNoticeHistory(state._engine).figures(now())
            return figures.sent == 10_000

        await eventually(all_sent, DEADLINE)
    counted = 0
    for text in chat.said:
        first = text.splitlines()[0]
        counted += int(first.split(" ")[0]) if " notices: " in first else 1
    assert counted == 10_000
    minutes = (asyncio.get_running_loop().time() - began) * FAST / 60
    assert len(chat.messages) <= 20 * (minutes + 1)
    assert len(chat.messages) <= 5 + 2 * (minutes + 1)  # few by themselves, then one in half a minute
    assert any("failed in shop" in text for text in chat.said)


async def test_what_is_late_is_held_in_quiet_hours_too(telegram: FakeBotApi, state: SqlNoticeState) -> None:
    hour = timedelta(hours=1)
    quiet = QuietHours.parse(f"{now() - hour:%H:%M}-{now() + hour:%H:%M} UTC")
    async with delivering(telegram, state, quiet=quiet) as running:
        for number in (1, 2):
            await state.record(
                Step(notices=[placed(f"f{number}"), placed(f"q{number}", "asked", task_id=f"q{number}")])
            )
            running.delivery.wake()
            await eventually(lambda number=number: len(telegram.chat().messages) == number, DEADLINE)  # type: ignore[misc]
    assert [text.partition(":")[0] for text in telegram.chat().said] == ["asked", "asked"]


async def test_while_it_is_throttled_nothing_is_sent_and_then_all_in_one(
    telegram: FakeBotApi, state: SqlNoticeState
) -> None:
    refuse = [throttled(1)]
    telegram.before = lambda method, given: (_ for _ in ()).throw(refuse.pop()) if refuse else None
    async with delivering(telegram, state) as running:
        await state.record(Step(notices=[placed("e0")]))
        running.delivery.wake()
        await eventually(lambda: telegram.counted("sendMessage", code=429) == 1, DEADLINE)
        await state.record(Step(notices=[placed(f"e{n}") for n in range(1, 8)]))
        running.delivery.wake()
        await eventually(lambda: telegram.chat().messages, DEADLINE)
    refused, *later = telegram.calls
    assert later[0].at - refused.at >= 1
    assert telegram.chat().said[0].startswith("8 notices: 8 failed in shop")


async def test_a_chat_that_is_down_delays_only_itself(telegram: FakeBotApi, state: SqlNoticeState) -> None:
    other = telegram.chat(5)
    telegram.before = lambda method, given: (
        (_ for _ in ()).throw(Refusal(502, "Bad Gateway")) if given["chat_id"] == ANN else None
    )
    async with delivering(telegram, state), delivering(telegram, state, chat_id=5, channel="log"):
        await state.record(Step(notices=[placed("e1"), placed("e1", channel="log")]))
        await eventually(lambda: len(other.messages) == 1, DEADLINE)
        await eventually(lambda: telegram.counted("sendMessage", code=502) >= 2, DEADLINE)
        telegram.before = lambda method, given: None
        await eventually(lambda: telegram.chat().messages, DEADLINE)
    assert telegram.chat().last.text.startswith("failed: x e1")


class Killed(BaseException):
    """Here the process would have ended."""


class DyingState(SqlNoticeState):
    """Ends the delivery at one step."""

    step = ""

    async def next(self, channel: str, now: datetime, pull: Pull = ANY) -> Outgoing | None:
        one = await super().next(channel, now, pull)
        if one is not None and self.step == "marked":
            raise Killed
        return one

    async def sent(self, one: Outgoing, now: datetime, posted: Posted | None = None) -> None:
        if self.step == "answered":
            raise Killed
        await super().sent(one, now, posted)
        if self.step == "settled":
            raise Killed


@pytest.mark.parametrize("step", ["marked", "answered", "settled"])
@pytest.mark.parametrize("what", ["failure", "edit", "digest"])
async def test_after_a_crash_nothing_is_lost_and_what_comes_twice_is_marked(
    telegram: FakeBotApi, state: SqlNoticeState, step: str, what: str
) -> None:
    """An edit is repeated, a failure is sent again and marked, a digest is not sent again."""
    chat = telegram.chat()
    if what == "edit":
        async with delivering(telegram, state):
            await state.record(Step(notices=[placed("e0", "created")]))
            await eventually(lambda: chat.messages, DEADLINE)
    count = {"failure": 1, "edit": 1, "digest": 8}[what]
    name = "running" if what == "edit" else "failed"
    await state.record(Step(notices=[placed(f"e{n}", name) for n in range(1, count + 1)]))
    dying = DyingState(state._engine, "one")
    dying.step = step
    async with delivering(telegram, dying) as running:
        await eventually(running.task.done, DEADLINE)
        assert isinstance(running.task.exception(), Killed)
    reached = 0 if step == "marked" else 1
    second = SqlNoticeState(state._engine, "two")
    assert await second.take(await second.standing())
    await second.start(now())
    async with delivering(telegram, second):
        await second.record(Step(notices=[placed("last", task_id="t2")]))
        await eventually(lambda: chat.messages and chat.last.text.startswith("failed: x last"), DEADLINE)
    *said, _ = chat.said
    if what == "failure":
        again = ["(again) failed: x e1"] if step != "settled" else []
        assert [text.splitlines()[0] for text in said] == [*["failed: x e1"] * reached, *again]
    elif what == "edit":
        assert [text.splitlines()[0] for text in said] == ["running: x e1"]
        assert telegram.counted("editMessageText") == 1
    else:
        assert [text.splitlines()[0] for text in said] == ["8 notices: 8 failed in shop on r1"] * reached
