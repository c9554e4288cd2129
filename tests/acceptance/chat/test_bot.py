"""The chat bot's journeys: what a person writes and presses, and what the log says then."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.notices.chat_state import SqlChatState
from adapters.read_model.database import open_database
from domain.chat.cards import CONFIRM_WITHIN
from domain.chat.people import Recipe
from domain.notices.message import Message, Notice, NoticeTask
from infra.chat.bot import Bot
from infra.composition import now
from tests.acceptance.chat.bots import BOB, EVE, Steps, running_bot, unsure
from tests.support.telegram.bot_api_server import ANN, USERNAME, FakeBotApi, Refusal, serving_bot_api
from tests.support.telegram.chats import SentMessage
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import eventually

RECIPES = {
    "deploy": Recipe("deploy", ("sh", "-c", 'echo "deploys $*"; echo "$0"', "x"), takes_arguments=True),
    "sleep": Recipe("sleep", ("sleep", "600"), title="long sleep"),
    "shut": Recipe("shut", ("false",), role="admin"),
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeBotApi]:
    async with serving_bot_api() as fake:
        yield fake


async def said(fake: FakeBotApi, part: str, chat: int = ANN) -> SentMessage:
    """The newest message in the chat that holds `part`, once there is one."""

    def found() -> SentMessage | None:
        return next((one for one in reversed(fake.chat(chat).messages.values()) if part in one.text), None)

    return await eventually(found, DEADLINE)


async def acknowledged(fake: FakeBotApi, press: str) -> tuple[str, bool]:
    """What the person who pressed was told."""
    return await eventually(lambda: fake.presses[press], DEADLINE)


async def asked(up: Up, bot: Bot, fake: FakeBotApi, *, free_text: bool = False) -> tuple[str, SentMessage]:
    """A running task that asks, and the notice of its question as a channel sends it."""
    more = ["--free-text"] if free_text else []
    ask = ["towpath", "ask", "Deploy?", "--choice", "yes", "--choice", "no", *more]
    task_id = up.create(ask, title="deploy shop")
    await told(bot, fake, notice(task_id, await eventually(lambda: up.task(task_id)["question"], DEADLINE)))
    return task_id, fake.chat(ANN).last


def notice(task_id: str, question: dict[str, Any]) -> Message:
    return Message(
        id=f"asked-{task_id}",
        type="towpath.task.asked.v1",
        subject=task_id,
        at=datetime.now(UTC),
        data={**question, "attempt": 1},
        notice=Notice(
            name="asked",
            text="asked: deploy shop",
            task=NoticeTask(
                id=task_id, title="", attempt=1, workspace=None, pool="default", labels={}, runner_id=None
            ),
        ),
    )


async def told(bot: Bot, fake: FakeBotApi, message: Message) -> None:
    rows = await bot.question_buttons.of(message)
    text = message.notice.text
    sent = fake._sendMessage(
        {
            "chat_id": ANN,
            "text": text,
            "reply_markup": {
                "inline_keyboard": [
                    [{"text": label, "callback_data": data} for label, data in row] for row in rows
                ]
            },
        }
    )
    await bot.question_buttons.shown(message, ANN, sent["message_id"], text)


def actors(up: Up, task_id: str, event: str) -> list[str]:
    return [one["actor"] for one in up.events(task_id=task_id) if one["event"] == event]


async def test_who_looks_sees_tasks_locks_output_and_runners(
    up: Up, fake: FakeBotApi, tmp_path: Path
) -> None:
    shop = up.workspace("chat-shop")
    holder = up.create(["sleep", "600"], title="holds @ann", workspace="chat-shop")
    await eventually(lambda: up.task(holder)["status"] == "running", DEADLINE)
    waits = up.create(["true"], title="waits", workspace="chat-shop")
    printed = up.create(["sh", "-c", f"echo {shop}; echo '\x1b[31mred.io'"], title="prints")
    await eventually(lambda: up.ended(printed), DEADLINE)
    async with running_bot(fake, up.url, tmp_path / "notices.db"):
        fake.chat(BOB)
        fake.type("/tasks chat-no-such-title", user=BOB, name="bob")
        await said(fake, "no tasks (chat-no-such-title)", BOB)
        fake.type("/help", user=BOB, name="bob")
        assert (await said(fake, "You are bob@\u2060ops.\u2060io, viewer", BOB)).text.endswith("for you")
        fake.type("/tasks running")
        listed = await said(fake, holder[-8:])
        assert listed.links == []
        assert "holds @\u2060ann" in listed.text
        fake.type(f"/why {waits[-8:]}")
        assert holder[-4:] in (await said(fake, "waits\n")).text
        fake.type(f"/task …{holder[-8:].upper()}")
        shown = await said(fake, "token ")
        assert set(shown.buttons) == {"why", "log", "cancel…", "release…"}
        assert f"https://towpath.example/console/tasks/{holder}" in shown.text
        fake.type("/locks chat-shop")
        assert f"{waits[-8:]} waits, position 1" in (await said(fake, "holds all")).text
        fake.type(f"/log {printed}")
        output = await said(fake, "prints: succeeded")
        assert output.fixed == [f"{shop}\nred.io"]
        fake.type("/runners")
        await said(fake, " alive: ")
    up.post(f"/tasks/{waits}/cancel")
    up.post(f"/tasks/{holder}/cancel")


async def test_a_recipe_runs_once_and_its_message_tells_the_end(
    up: Up, fake: FakeBotApi, tmp_path: Path
) -> None:
    async with running_bot(fake, up.url, tmp_path / "notices.db", RECIPES):
        fake.type("/run deploy 'a b' \"$(id)\"")
        ran = await said(fake, "deploy: ")
        await eventually(lambda: "succeeded" in ran.text, DEADLINE)
        task_id = ran.text.splitlines()[-2].removeprefix("id ")
        assert up.task(task_id)["output_tail"] == "deploys a b $(id)\nx\n"
        assert set(ran.buttons) == {"why", "log"}
        assert actors(up, task_id, "created") == ["api/telegram:815:ann"]
        fake.type("/run shut")
        assert "there is no recipe shut for you" in (await said(fake, "no recipe")).text
        fake.type("/run sleep now")
        await said(fake, "takes no arguments")
        press = fake.press(ran, "log")
        assert await acknowledged(fake, press) == ("", False)
        assert (await said(fake, "$(id): succeeded")).fixed == ["deploys a b $(id)\nx"]


async def test_cancel_needs_a_second_button_and_says_what_happened(
    up: Up, fake: FakeBotApi, tmp_path: Path
) -> None:
    async with running_bot(fake, up.url, tmp_path / "notices.db", RECIPES):
        task_id = up.create(["sleep", "600"], title="long")
        await eventually(lambda: up.task(task_id)["status"] == "running", DEADLINE)
        fake.type(f"/cancel {task_id[-8:]}", chat=ANN)
        first = await said(fake, "Cancel long?")
        assert "attempt 1 on " in first.text
        assert await acknowledged(fake, fake.press(first, "no")) == ("nothing was done", False)
        await eventually(lambda: first.buttons == {}, DEADLINE)
        fake.type(f"/cancel {task_id[-8:]}")
        second = await eventually(
            lambda: one if (one := fake.chat(ANN).last) is not first else None, DEADLINE
        )
        by_bob = fake.press(second, "cancel attempt 1", user=BOB, name="bob")
        assert "needs the role operator" in (await acknowledged(fake, by_bob))[0]
        by_eve = fake.press(second, "cancel attempt 1", user=EVE, name="eve")
        press = fake.press(second, "cancel attempt 1")
        assert "by ann" in (await acknowledged(fake, press))[0]
        assert fake.presses[by_eve] is None
        await eventually(lambda: up.ended(task_id), DEADLINE)
        assert actors(up, task_id, "cancel-requested") == ["api/telegram:815:ann"]
        await eventually(lambda: "→ cancel requested by ann" in second.text, DEADLINE)
        assert second.buttons == {}


async def test_release_wants_a_reason_and_names_the_token(up: Up, fake: FakeBotApi, tmp_path: Path) -> None:
    up.workspace("chat-kept")
    task_id = up.create(["sleep", "600"], title="keeps", workspace="chat-kept")
    await eventually(lambda: up.task(task_id)["status"] == "running", DEADLINE)
    token = up.holders()[task_id]
    async with running_bot(fake, up.url, tmp_path / "notices.db", RECIPES):
        fake.type(f"/release {task_id[-8:]}")
        prompt = await said(fake, "Reply to this message")
        assert prompt.force_reply
        fake.type("disk was swapped", reply_to=prompt.id)
        confirm = await said(fake, "Reason: disk was swapped")
    with unsure(up.url) as url:
        async with running_bot(fake, url, tmp_path / "notices.db", RECIPES):
            fake.press(confirm, f"release token {token}")
            unknown = await said(fake, "it may have been done or not")
            assert f"/task {task_id[-8:]}" in unknown.text
            assert confirm.buttons
    async with running_bot(fake, up.url, tmp_path / "notices.db", RECIPES):
        stale = await _other(fake, task_id, confirm)
        press = fake.press(confirm, f"release token {token}")
        assert "released by ann" in (await acknowledged(fake, press))[0]
        assert task_id not in up.holders()
        assert actors(up, task_id, "lock-release-requested") == ["api/telegram:815:ann"]
        await eventually(lambda: f"over: token {token} is not held any more" in stale.text, DEADLINE)
        assert stale.buttons == {}
    up.post(f"/tasks/{task_id}/cancel")


async def test_what_was_done_before_a_crash_is_told_when_the_buttons_have_run_out(
    up: Up, fake: FakeBotApi, tmp_path: Path
) -> None:
    up.workspace("chat-late")
    task_id = up.create(["sleep", "600"], title="late", workspace="chat-late")
    idle = up.create(["true"], dispatch=False, title="idle")
    await eventually(lambda: up.task(task_id)["status"] == "running", DEADLINE)
    token = up.holders()[task_id]
    async with running_bot(fake, up.url, tmp_path / "notices.db"):
        fake.type(f"/release {task_id} it hangs")
        release = await said(fake, "Reason: it hangs")
        fake.type(f"/release {task_id}")
        prompt = await said(fake, "Reply to this message")
        fake.type(f"/cancel {task_id}")
        cancel = await said(fake, "Cancel late?")
        fake.type(f"/cancel {idle}")
        unpressed = await said(fake, "Cancel idle?")
    released = fake.press(release, f"release token {token}")
    canceled = fake.press(cancel, "cancel attempt 1")
    up.post(f"/tasks/{task_id}/locks/release", {"reason": "it hangs"})
    up.post(f"/tasks/{task_id}/cancel")
    await eventually(lambda: up.ended(task_id), DEADLINE)
    up.post(f"/tasks/{task_id}/dispatch")
    await eventually(lambda: up.task(task_id)["status"] == "running", DEADLINE)
    fake.type("it hangs", reply_to=prompt.id)
    async with running_bot(fake, up.url, tmp_path / "notices.db", clock=lambda: now() + 2 * CONFIRM_WITHIN):
        assert f"over: token {token} is not held any more" in (await acknowledged(fake, released))[0]
        assert "over: attempt 2 is running" in (await acknowledged(fake, canceled))[0]
        await said(fake, "too late: now attempt 2 is running and holds token")
        await eventually(lambda: "→ not confirmed in time: send" in unpressed.text, DEADLINE)
        assert release.buttons == cancel.buttons == unpressed.buttons == {}
    for started in (task_id, idle):
        up.post(f"/tasks/{started}/cancel")


async def _other(fake: FakeBotApi, task_id: str, first: SentMessage) -> SentMessage:
    fake.type(f"/release {task_id[-8:]} other reason")
    return await said(fake, "Reason: other reason")


@pytest.mark.parametrize("free_text", [False, True])
async def test_a_question_is_answered_once(
    up: Up, fake: FakeBotApi, tmp_path: Path, *, free_text: bool
) -> None:
    async with running_bot(fake, up.url, tmp_path / "notices.db") as bot:
        task_id, message = await asked(up, bot, fake, free_text=free_text)
        assert list(message.buttons) == ["yes", "no"]
        if free_text:
            fake.type("on Monday", reply_to=message.id)
            answer = "on Monday"
        else:
            fake.type("maybe", reply_to=message.id)
            await said(fake, "press one of the buttons")
            press = fake.press(message, "yes")
            late = fake.press(message, "no")
            fake.expired.add(late)
            assert "answered `yes` by ann" in (await acknowledged(fake, press))[0]
            answer = "yes"
        await eventually(lambda: up.ended(task_id), DEADLINE)
        assert up.task(task_id)["output_tail"].splitlines()[-1] == answer
        await eventually(lambda: not message.buttons, DEADLINE)
        assert f"→ answered `{answer}` by ann" in message.text
        assert actors(up, task_id, "answered") == ["api/telegram:815:ann"]


async def test_a_question_that_others_decide_loses_its_buttons(
    up: Up, fake: FakeBotApi, tmp_path: Path
) -> None:
    steps = Steps(2)  # the card is shown and closed; then its message is not edited
    async with running_bot(fake, up.url, tmp_path / "notices.db", steps=steps) as bot:
        task_id, message = await asked(up, bot, fake)
        held, question = dict(message.buttons), up.task(task_id)["question"]
        up.post(f"/tasks/{task_id}/questions/{question['question_id']}/answer", {"choice": "no"})
        await eventually(lambda: steps.over, DEADLINE)
        assert message.buttons == held
    async with running_bot(fake, up.url, tmp_path / "notices.db") as bot:
        await eventually(lambda: not message.buttons, DEADLINE)
        assert "→ answered `no` by someone" in message.text
        message.buttons = held
        assert "answered `no` by someone" in (await acknowledged(fake, fake.press(message, "yes")))[0]
        await told(bot, fake, notice(task_id, question))
        late_shown = fake.chat(ANN).last
        await eventually(lambda: not late_shown.buttons, DEADLINE)
        assert "→ answered `no` by someone" in late_shown.text
        ended, second = await asked(up, bot, fake)
        up.post(f"/tasks/{ended}/cancel")
        await eventually(lambda: "→ the attempt that asked is over" in second.text, DEADLINE)
        assert actors(up, task_id, "answered") == ["api"]
        assert actors(up, ended, "answered") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a killed bot closes nothing
async def test_killed_at_every_step_it_does_each_thing_once(up: Up, fake: FakeBotApi, tmp_path: Path) -> None:
    up.workspace("chat-killed")
    held = up.create(["sleep", "600"], title="held", workspace="chat-killed")
    await eventually(lambda: up.task(held)["status"] == "running", DEADLINE)
    state = tmp_path / "notices.db"
    async with running_bot(fake, up.url, state, RECIPES) as bot:
        asks, question = await asked(up, bot, fake)
        fake.type(f"/release {held[-8:]} it hangs")
        release = await said(fake, "Reason: it hangs")
    fake.press(question, "yes")
    fake.press(release, f"release token {up.holders()[held]}")
    fake.type("/run deploy once")
    fake.type("/runners")
    crashes = 0
    while await crashed_after(crashes, up, fake, state):
        crashes += 1
    gc.collect()
    assert crashes >= 8
    assert len(actors(up, asks, "answered")) == 1
    assert "→ answered `yes` by ann" in question.text
    assert question.buttons == release.buttons == {}
    assert len(actors(up, held, "lock-release-requested")) == 1
    assert len(up.get("/tasks", q="deploy once")["items"]) == 1
    up.post(f"/tasks/{held}/cancel")


async def crashed_after(number: int, up: Up, fake: FakeBotApi, state: Path) -> bool:
    """Let a bot go on until it has made so many steps; False: it had nothing left to do before that."""
    steps = Steps(number)
    async with running_bot(fake, up.url, state, RECIPES, steps):
        await eventually(lambda: steps.over or not fake.updates, DEADLINE)
    return steps.over


async def test_another_poller_is_waited_out_and_shown(up: Up, fake: FakeBotApi, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'notices.db'}")

    def busy(method: str, _: Mapping[str, Any]) -> None:
        if method == "getUpdates":
            raise Refusal(409, "Conflict: terminated by other getUpdates request")

    async def trouble() -> str | None:
        (standing,) = await SqlChatState(engine, None).standings()
        return standing.trouble

    fake.before = busy
    async with running_bot(fake, up.url, tmp_path / "notices.db", RECIPES) as bot:
        await eventually(lambda: fake.counted("getMe"), DEADLINE)
        fake.type("/runners")
        assert "another program polls this bot" in (await eventually(trouble, DEADLINE) or "")
        _, question = await asked(up, bot, fake)
        fake.before = lambda method, given: None
        await said(fake, " alive: ")
        assert await trouble() is None
        fake.press(question, "yes")
        await eventually(lambda: not question.buttons, DEADLINE)
    await engine.dispose()


async def test_strangers_and_what_others_wrote_do_nothing(up: Up, fake: FakeBotApi, tmp_path: Path) -> None:
    group = -100
    fake.chat(group, kind="supergroup", title="ops")
    ann = {"id": ANN, "is_bot": False, "first_name": "ann"}
    said_there = {"chat": fake.chat(group).as_json(), "date": 0, "text": "/runners"}
    async with running_bot(fake, up.url, tmp_path / "notices.db", RECIPES):
        fake.type("/runners", user=EVE, name="eve", chat=group)
        fake.happened({"message": {**said_there, "message_id": 1, "from": ann, "forward_origin": {}}})
        fake.happened({"message": {**said_there, "message_id": 2, "from": ann, "sender_chat": {"id": group}}})
        fake.happened({"message": {**said_there, "message_id": 3, "from": {**ann, "is_bot": True}}})
        fake.happened({"message": {**said_there, "message_id": 4, "from": ann, "via_bot": {"id": 9}}})
        fake.happened({"edited_message": {**said_there, "message_id": 5, "from": ann}})
        fake.happened({"message": {**said_there, "message_id": 6, "from": ann, "text": "/runners@other_bot"}})
        fake.happened({"message": {**said_there, "message_id": 7, "from": ann, "text": "/unknown"}})
        fake.type(f"/help@{USERNAME}", chat=group)
        await said(fake, "You are ann, operator", group)
        assert len(fake.chat(group).messages) == 1
