"""A bot that `towpath up` runs by itself: a question is told, and answered by a button."""

from __future__ import annotations

import asyncio

import httpx

from tests.support.telegram.bot_api_server import ANN, TOKEN, FakeBotApi, serving_bot_api
from tests.support.telegram.chats import SentMessage
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

ADMIN = "admin-token-of-this-test-1234567890"
FILE = f"""
[[channel]]
name = "phone"
kind = "telegram"
token = "{TOKEN}"
chat_id = {ANN}

[[rule]]
channel = "phone"
events = ["asked"]

[[user]]
id = {ANN}
name = "ann"
role = "operator"

[[recipe]]
name = "deploy"
command = ["towpath", "ask", "Deploy?", "--choice", "yes", "--choice", "no"]
"""


def with_buttons(fake: FakeBotApi, label: str) -> SentMessage | None:
    return next((one for one in fake.chat(ANN).messages.values() if label in one.buttons), None)


async def test_a_recipe_asks_and_a_button_answers_under_the_persons_name(home: Home) -> None:
    path = home.path / "notify.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    async with serving_bot_api() as fake:
        given = {"TOWPATH_NOTIFY": str(path), "TOWPATH_TELEGRAM_API": fake.url}
        up = await asyncio.to_thread(home.up, TOWPATH_API_TOKENS=f"admin=root:{ADMIN}", **given)
        fake.type("/run deploy")
        question = await eventually(lambda: with_buttons(fake, "yes"), DEADLINE)
        assert not question.silent
        press = fake.press(question, "yes")
        assert "answered `yes` by ann" in (await eventually(lambda: fake.presses[press], DEADLINE))[0]
        await eventually(lambda: not question.buttons, DEADLINE)
        assert "→ answered `yes` by ann" in question.text
        ran = next(iter(fake.chat(ANN).messages.values()))
        await eventually(lambda: "succeeded" in ran.text, DEADLINE)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        events = httpx.get(f"{up.url}/events", headers=headers, params={"limit": 200}).json()["items"]
        by = {one["event"]: one["actor"] for one in events if one["event"] in ("created", "answered")}
        assert by == dict.fromkeys(("created", "answered"), f"operator:bot/telegram:{ANN}:ann")
        said = (await asyncio.to_thread(up.towpath, "doctor", **given)).stdout
        assert "bot @towpath_test_bot" in said
        assert "it receives what people write" in said
        words = up.server.words
    assert TOKEN not in words
    assert TOKEN.partition(":")[2] not in words
