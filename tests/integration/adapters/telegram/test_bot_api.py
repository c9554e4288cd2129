"""The client against a Bot API on loopback: what it sends, says of failures, and never shows."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator

import pytest

from adapters.telegram.bot_api import BotApi, Fixed, check_token
from adapters.telegram.errors import (
    BotApiError,
    Conflict,
    MessageGone,
    Refused,
    Throttled,
    Unauthorized,
    Unreachable,
)
from tests.support.telegram.bot_api_server import (
    ANN,
    TOKEN,
    USERNAME,
    FakeBotApi,
    Refusal,
    serving_bot_api,
    throttled,
)
from tests.support.waiting import eventually


@pytest.fixture
async def telegram() -> AsyncIterator[FakeBotApi]:
    async with serving_bot_api() as running:
        yield running


@pytest.fixture
async def bot(telegram: FakeBotApi) -> AsyncIterator[BotApi]:
    async with BotApi(TOKEN, telegram.url, answer_seconds=5.0) as api:
        yield api


async def test_messages_are_sent_and_edited(bot: BotApi, telegram: FakeBotApi) -> None:
    assert (await bot.get_me()).username == USERNAME
    first = await bot.send_message(ANN, "one", buttons=[[("Yes", "y"), ("No", "n")]], silent=True)
    second = await bot.send_message(ANN, "two\n| /x", reply_to=first, fixed=[Fixed(4, 4)], thread_id=7)
    third = await bot.send_message(ANN, "lone \ud800 half", reply_to=second + 99, force_reply=True)
    await bot.edit_message(ANN, first, "one, answered")
    await bot.edit_message(ANN, first, "one, answered")  # not modified, which is as wanted
    shown = telegram.chat().messages
    assert (shown[first].texts, shown[first].buttons) == (["one", "one, answered"], {})
    assert (shown[first].silent, shown[second].silent) == (True, False)
    assert (shown[second].reply_to, shown[second].thread_id) == (first, 7)
    assert (shown[second].fixed, shown[second].links) == (["| /x"], [])
    assert (shown[third].text, shown[third].force_reply) == ("lone ? half", True)
    with pytest.raises(MessageGone):
        await bot.edit_message(ANN, 5, "there is no such message")
    with pytest.raises(MessageGone):
        await bot.edit_message(ANN, third, "it asks for a reply")
    with pytest.raises(ValueError, match="64 bytes"):
        await bot.send_message(ANN, "x", buttons=[[("Yes", "é" * 33)]])


async def test_updates_come_again_until_they_are_acknowledged(bot: BotApi, telegram: FakeBotApi) -> None:
    waiting = asyncio.create_task(bot.get_updates(0, 5))
    await eventually(lambda: telegram._poll is not None)
    typed = telegram.type("/why", name="ann", thread_id=3, reply_to=9)
    (update,) = await waiting
    message = update.message
    assert message is not None
    assert message.sender is not None
    assert (update.id, message.text, message.chat.id, message.sender.id) == (typed, "/why", ANN, ANN)
    assert (message.sender.name, message.thread_id, message.reply_to) == ("ann", 3, 9)
    sent = await bot.send_message(ANN, "?", buttons=[[("Yes", "nonce")]])
    press = telegram.press(telegram.chat().messages[sent], "Yes")
    telegram.happened({"message": {"from": "nonsense"}})
    again, pressed, malformed = await bot.get_updates(0, 0)
    assert again == update
    assert pressed.press is not None
    assert (pressed.press.id, pressed.press.data, pressed.press.message_id) == (press, "nonce", sent)
    assert malformed.message is malformed.press is None
    assert await bot.answer_callback(press, "done", alert=True)
    assert telegram.presses[press] == ("done", True)
    telegram.expired.add(press)
    assert not await bot.answer_callback(press)
    assert await bot.get_updates(malformed.id + 1, 0) == []
    assert telegram.updates == {}


async def test_of_two_polls_the_older_ends(bot: BotApi, telegram: FakeBotApi) -> None:
    older = asyncio.create_task(bot.get_updates(0, 5))
    await eventually(lambda: telegram._poll is not None)
    newer = asyncio.create_task(bot.get_updates(0, 5))
    with pytest.raises(Conflict, match="another program polls this bot") as caught:
        await older
    assert not caught.value.webhook
    telegram.type("hello")
    assert len(await newer) == 1
    telegram.webhook = True
    with pytest.raises(Conflict, match="a webhook is set") as caught:
        await bot.get_updates(0, 0)
    assert caught.value.webhook
    await bot.delete_webhook()
    assert len(await bot.get_updates(0, 0)) == 1  # nothing that waited is lost


async def test_each_failure_is_told_apart_and_none_shows_the_token(
    telegram: FakeBotApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    telegram.chat(-1, kind="group", moved_to=-1001)
    telegram.chat(2, refuses=(403, "Forbidden: bot was blocked by the user"))
    telegram.chat(3)
    waits = iter(
        [throttled(7), Refusal(429, "Too Many Requests: retry after 9"), Refusal(502, "Bad Gateway")]
    )

    def refuse(_: str, given: object) -> None:
        if given["chat_id"] == 3:  # type: ignore[index]
            raise next(waits)

    telegram.before = refuse
    shown = list[str]()

    async def fails(
        chat_id: int, kind: type[BotApiError], token: str = TOKEN, url: str = telegram.url
    ) -> BotApiError:
        async with BotApi(token, url, answer_seconds=0.5) as api:
            with pytest.raises(kind) as caught:
                await api.send_message(chat_id, "x")
        error = caught.value
        chain = error
        while chain.__context__ is not None or chain.__cause__ is not None:
            chain = chain.__cause__ or chain.__context__  # type: ignore[assignment]
            assert "httpx" not in type(chain).__module__
        shown.append("".join(traceback.format_exception(error)) + repr(api) + repr(error))
        return error

    moved = await fails(-1, Refused)
    assert isinstance(moved, Refused)
    assert moved.moved_to == -1001
    assert "`chat_id = -1001`" in str(moved)
    assert "blocked by the user" in str(await fails(2, Refused))
    assert "chat not found" in str(await fails(99, Refused))
    for seconds in (7, 9):
        error = await fails(3, Throttled)
        assert isinstance(error, Throttled)
        assert error.retry_after == seconds
    assert "it answers 502: Bad Gateway" in str(await fails(3, Unreachable))
    await fails(ANN, Unauthorized, token=TOKEN + "x")
    telegram.drop = lambda method, given: True
    dropped = await fails(ANN, Unreachable)
    assert isinstance(dropped, Unreachable)
    assert dropped.sent
    telegram.down = True
    await fails(ANN, Unreachable)
    none = await fails(ANN, Unreachable, url="http://127.0.0.1:1")
    assert isinstance(none, Unreachable)
    assert not none.sent
    await fails(ANN, Unreachable, url="http://[::1")
    secret = TOKEN.partition(":")[2]
    assert secret not in "".join(shown) + caplog.text
    assert "HTTP Request" not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>captive portal</html>", b"[]", b'{"ok": "yes"}', b'{"ok": true, "result": 5}',
        b'{"ok": true}', b"x" * (9 << 20),
    ],
)  # fmt: skip
async def test_an_answer_of_something_else_is_no_answer(telegram: FakeBotApi, answer: bytes) -> None:
    async def respond(path: str, body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer

    telegram._respond = respond  # type: ignore[method-assign]
    async with BotApi(TOKEN, telegram.url) as api:
        with pytest.raises(Unreachable):
            await api.send_message(ANN, "x")


def test_what_is_no_token() -> None:
    assert check_token(f" {TOKEN}\n") == TOKEN
    for token in ("", "secret", "4711:short", "4711:AAtest/../x" + "y" * 30):
        with pytest.raises(ValueError, match="BotFather") as caught:
            check_token(token)
        assert not token or token not in str(caught.value)
