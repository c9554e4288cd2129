"""Notices through Apprise to real receivers: what arrives, what a refusal says, and what is never shown."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from adapters.notices.apprise_service import AppriseSender, check_apprise_url
from domain.chat.text import JOINER
from domain.notices.message import Links, Message, Notice
from domain.ports.notices import NotSent
from tests.support.http.webhook_receiver import Receiver, answer, receiving

CONSOLE = "https://towpath.example.com/console/tasks/t1"
HOSTILE = "failed: deploy <!channel> @here (host-1)\nexited with 1, see http://evil.example\n| <b>no *space*"
TEXT = f"{HOSTILE}\n{CONSOLE}"
MESSAGE = Message(
    id="e1",
    type="towpath.task.failed.v1",
    subject="t1",
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    notice=Notice(name="failed", text=TEXT, links=Links(console=CONSOLE)),
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def send(url: str, message: Message = MESSAGE, *, seconds: float = 30.0) -> None:
    await AppriseSender(check_apprise_url(url), answer_seconds=seconds).send(message)


async def test_title_text_and_kind_arrive_and_nothing_of_it_calls_anybody(receiver: Receiver) -> None:
    await send(f"json://127.0.0.1:{receiver.port}/hook")
    (got,) = receiver.received
    said = json.loads(got.body)
    assert (said["type"], said["title"].replace(JOINER, "")) == ("failure", TEXT.splitlines()[0])
    whole = said["title"] + "\n" + said["message"]
    assert whole.replace(JOINER, "") == TEXT
    assert not [word for word in ("<!channel>", "@here", "http://evil.example") if word in whole]
    assert said["message"].splitlines()[-1] == CONSOLE


async def test_one_line_is_the_text_and_no_title(receiver: Receiver) -> None:
    alone = MESSAGE.model_copy(update={"notice": Notice(name="test", text="test: it works")})
    await send(f"json://127.0.0.1:{receiver.port}/hook", alone)
    (got,) = receiver.received
    said = json.loads(got.body)
    assert (said["title"], said["message"], said["type"]) == ("", "test: it works", "info")


async def test_a_refusal_says_the_status_alone(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answers = lambda _: answer(404)
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(NotSent, match=r"^the service answers 404$") as no,
    ):
        await send(f"json://user:hunter2@127.0.0.1:{receiver.port}/hook")
    assert not no.value.unsure
    assert "hunter2" not in caplog.text


async def test_what_nobody_answers_may_have_arrived(receiver: Receiver) -> None:
    receiver.answers = lambda _: None
    with pytest.raises(NotSent) as unanswered:
        await send(f"json://127.0.0.1:{receiver.port}/hook", seconds=0.5)
    assert unanswered.value.unsure


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("nosuch://hunter2@host", "what follows nosuch://"),
        ("hunter2", "cannot use it"),
        ("json://", "json://"),
    ],
)
def test_a_url_that_apprise_cannot_use_is_a_fault_without_the_url(url: str, names: str) -> None:
    with pytest.raises(ValueError, match=names) as fault:
        check_apprise_url(url)
    assert "hunter2" not in str(fault.value)
