"""Notices in a chat: what they say, which are edited, which make a sound, and what becomes of failures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from adapters.notices.telegram import TelegramChat, TelegramSender
from adapters.telegram.bot_api import BotApi
from adapters.telegram.pace import Limits, Pace
from domain.notices.conversation import NEW, Conversation
from domain.notices.digest import Share, digest
from domain.notices.message import Links, Message, Notice, NoticeTask
from domain.ports.notices import NotSent
from tests.support.telegram.bot_api_server import ANN, TOKEN, FakeBotApi, serving_bot_api, throttled
from tests.support.telegram.chats import MOST_UNITS, units

NO_LIMITS = Limits(chat_seconds=0.0, group_seconds=0.0, bot_seconds=0.0)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONSOLE = "https://towpath.example/console/tasks/t1"


@pytest.fixture
async def telegram() -> AsyncIterator[FakeBotApi]:
    async with serving_bot_api() as running:
        yield running


@pytest.fixture
async def sender(telegram: FakeBotApi) -> AsyncIterator[TelegramSender]:
    async with BotApi(TOKEN, telegram.url, answer_seconds=5.0) as api:
        yield TelegramSender(TelegramChat(TOKEN, ANN, 7), api, Pace(NO_LIMITS))


def message(name: str, **notice: object) -> Message:
    about = NoticeTask(
        id="t1", title="x", attempt=1, workspace="acme", pool="default", labels={}, runner_id="r1"
    )
    fields: dict[str, object] = {
        "text": f"{name}: deploy shop (acme, r1)\nwhy", "why": f"it {name} at 12:00", "task": about,
        "links": Links(console=CONSOLE),
    }  # fmt: skip
    told = Notice(name=name, **(fields | notice))  # type: ignore[arg-type]
    return Message(id="e1", type="t", subject="t1", at=NOW, notice=told)


async def test_a_task_is_one_message_and_its_failure_another(
    sender: TelegramSender, telegram: FakeBotApi
) -> None:
    shown = NEW
    for name in ("created", "running", "failed"):
        one = message(name, last_lines=["first", "last"] if name == "failed" else [], by="r1")
        posted = await sender.send(one, shown)
        assert posted.topic == "task t1"
        shown = posted.conversation
    first, failed = telegram.chat().messages.values()
    assert (first.silent, failed.silent, failed.reply_to) == (True, False, first.id)
    assert (first.thread_id, failed.thread_id) == (7, 7)
    assert len(first.texts) == 3
    assert first.text == f"failed: deploy shop (acme, r1)\ncreated → running → failed\n{CONSOLE}"
    assert failed.text == (
        "failed: deploy shop (acme, r1)\nit failed at 12:00\nfirst\nlast\nby r1\n"
        f"created → running → failed\n{CONSOLE}"
    )
    assert failed.fixed == ["first\nlast"]
    assert posted.message_id == shown.loud == failed.id
    assert telegram.counted("sendMessage", "editMessageText") == 4


async def test_no_text_of_a_task_becomes_a_link_but_ours_is_one(
    sender: TelegramSender, telegram: FakeBotApi
) -> None:
    nasty = "/cancel @ann https://evil.example/x evil.com #tag ann@example.org"
    await sender.send(message("failed", text=f"failed: {nasty}", why=nasty, last_lines=[nasty], by=nasty))
    (shown,) = telegram.chat().messages.values()
    assert shown.links == [CONSOLE]
    assert shown.fixed == [nasty]  # to be copied as it is
    shares = [Share("failed", "evil.com", "r1", 2)]
    await sender.send(digest(NOW, shares, [message("failed", text=f"failed: {nasty}")] * 2))
    assert telegram.chat().last.links == []
    assert not telegram.chat().last.silent


@pytest.mark.parametrize("char", ["x", "😀", "/a."])
async def test_a_long_text_is_cut_well(sender: TelegramSender, telegram: FakeBotApi, char: str) -> None:
    lines = [f"{number} {char * 490}" for number in range(10)]
    one = message("failed", text=f"failed: {char * 600}", why=char * 3000, last_lines=lines, by=char * 400)
    await sender.send(one)
    (shown,) = telegram.chat().messages.values()
    assert units(shown.text) <= MOST_UNITS
    assert shown.text.startswith("failed: ")
    assert shown.text.endswith(CONSOLE)
    assert shown.links == [CONSOLE]
    assert not shown.fixed or shown.fixed[0].splitlines()[0].startswith("…")


async def test_what_is_told_again_is_marked_and_an_edit_is_not(
    sender: TelegramSender, telegram: FakeBotApi
) -> None:
    posted = await sender.send(message("created"))
    await sender.send(message("running").told_again(), posted.conversation)
    await sender.send(message("failed").told_again(), posted.conversation)
    first, failed = telegram.chat().messages.values()
    assert not any(text.startswith("(again)") for text in first.texts)
    assert failed.text.startswith("(again) failed: deploy shop")


async def test_a_message_that_was_deleted_is_replaced(sender: TelegramSender, telegram: FakeBotApi) -> None:
    gone = Conversation(first=5, edited=5, names=("created",))
    posted = await sender.send(message("running"), gone)
    (shown,) = telegram.chat().messages.values()
    assert (posted.conversation.edited, posted.message_id) == (shown.id, shown.id)
    posted = await sender.send(message("failed"), gone)
    assert telegram.chat().last.id == posted.conversation.loud
    assert posted.conversation.edited is None


async def test_failures_say_what_to_do(sender: TelegramSender, telegram: FakeBotApi) -> None:
    chat = telegram.chat()
    for refusal, says in (
        ((403, "Forbidden: bot was blocked by the user"), "that person has to unblock the bot"),
        ((400, "Bad Request: message thread not found"), "the topic of `thread_id` is gone"),
        ((400, "Bad Request: chat not found"), "press Start in the bot's chat"),
    ):
        chat.refuses = refusal
        with pytest.raises(NotSent, match=says) as caught:
            await sender.send(message("failed"))
        assert (caught.value.final, caught.value.unsure) == (False, False)
    chat.refuses, chat.moved_to = None, -1001
    with pytest.raises(NotSent, match="`chat_id = -1001`"):
        await sender.send(message("failed"))
    chat.moved_to = None
    telegram.drop = lambda method, given: True
    with pytest.raises(NotSent) as caught:
        await sender.send(message("failed"))
    assert caught.value.unsure  # it was shown
    with pytest.raises(NotSent) as caught:
        await sender.send(message("running"), Conversation(first=100, edited=100))
    assert not caught.value.unsure  # an edit may be repeated
    telegram.drop = lambda method, given: False
    telegram.before = lambda method, given: (_ for _ in ()).throw(throttled(17))
    with pytest.raises(NotSent) as caught:
        await sender.send(message("failed"))
    assert caught.value.retry_after == 17
    assert 16 < sender.pause() <= 17


def test_the_pace_keeps_the_limits() -> None:
    clock = [0.0]
    pace = Pace(clock=lambda: clock[0])
    sent = dict[int, list[float]]()
    while clock[0] < 180:
        for chat_id in (-5, 5, *range(100, 200)):
            if pace.pause(chat_id) <= 0:
                waits = pace.turn(chat_id)
                with pytest.raises(StopIteration):
                    waits.send(None)
                sent.setdefault(chat_id, []).append(clock[0])
        clock[0] += 0.05
    everything = sorted(at for times in sent.values() for at in times)
    for times, most, seconds in ((sent[5], 1, 1), (sent[-5], 1, 1), (sent[-5], 20, 60), (everything, 30, 1)):
        for first, after in zip(times, times[most:], strict=False):
            assert after - first >= seconds
    assert len(sent[-5]) >= 58
