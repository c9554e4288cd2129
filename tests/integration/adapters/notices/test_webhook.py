"""Webhooks to a real receiver: what arrives, what is refused, and what is never followed or shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from adapters.notices.addresses import Allowed
from adapters.notices.signature import parse_secrets
from adapters.notices.webhook import Webhook, WebhookSender, check_url, webhook_client
from domain.notices.message import Message, Notice
from domain.ports.notices import NotSent
from tests.support.http.webhook_receiver import Receiver, answer, receiving

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()
LOOPBACK = Allowed.parse(["127.0.0.1"])
MESSAGE = Message(
    id="0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11",
    type="towpath.task.failed.v1",
    subject="t1",
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    attributes={"actor": "runner:r1", "attempt": 1},
    data={"reason": "exit"},
    notice=Notice(name="failed", text="failed: Grüße"),
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def send(url: str, allowed: Allowed = LOOPBACK, *, seconds: float = 30.0, **options: object) -> None:
    async with webhook_client() as client:
        webhook = Webhook(url, parse_secrets(SECRET), allowed)
        await WebhookSender(webhook, client, answer_seconds=seconds, **options).send(MESSAGE)  # type: ignore[arg-type]


async def test_a_signed_cloud_event_arrives(receiver: Receiver) -> None:
    await send(receiver.url + "?team=web", clock=lambda: 1772366400.9)
    (got,) = receiver.received
    assert got.path == "/hook?team=web"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert (got.id, got.headers["webhook-timestamp"]) == (MESSAGE.id, "1772366400")
    signed = f"{MESSAGE.id}.1772366400.".encode() + got.body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert {**got.event, "data": None} == {
        "specversion": "1.0", "id": MESSAGE.id, "source": "/towpath", "type": "towpath.task.failed.v1",
        "subject": "t1", "time": "2026-03-01T12:00:00.000000Z", "datacontenttype": "application/json",
        "actor": "runner:r1", "attempt": 1, "data": None,
    }  # fmt: skip
    assert got.event["data"]["reason"] == "exit"
    assert got.notice["text"] == "failed: Grüße"


async def test_the_name_of_the_url_is_sent_and_the_checked_address_connected_to(receiver: Receiver) -> None:
    asked = []

    async def look_up(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]  # as a rebinding name would

    await send(f"http://hooks.example:{receiver.port}/hook", look_up=look_up)
    assert asked == [("hooks.example", receiver.port)]
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_loopback_is_refused_unless_allowed(receiver: Receiver) -> None:
    with pytest.raises(NotSent, match="loopback") as caught:
        await send(receiver.url, Allowed())
    assert not caught.value.final
    assert receiver.received == []


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = lambda _: answer(307, f"location: {receiver.url}/other")
    with pytest.raises(NotSent, match="307, a redirect"):
        await send(receiver.url)
    assert len(receiver.received) == 1


@pytest.mark.parametrize(("status", "final"), [(400, False), (410, True), (429, False), (503, False)])
async def test_other_answers_are_failures(receiver: Receiver, status: int, final: bool) -> None:
    receiver.answers = lambda _: answer(status)
    with pytest.raises(NotSent, match=str(status)) as caught:
        await send(receiver.url)
    assert caught.value.final is final


async def test_a_receiver_that_never_answers_is_given_up(receiver: Receiver) -> None:
    receiver.answers = lambda _: None
    with pytest.raises(NotSent, match="no answer within") as unanswered:
        await send(receiver.url, seconds=0.5)
    assert unanswered.value.unsure


async def test_only_a_request_that_went_out_may_have_arrived(receiver: Receiver) -> None:
    receiver.answers = lambda _: b""
    with pytest.raises(NotSent, match="the request failed") as cut_off:
        await send(receiver.url)
    assert (cut_off.value.unsure, len(receiver.received)) == (True, 1)
    receiver.answers = lambda _: answer(500)
    with pytest.raises(NotSent) as refused:
        await send(receiver.url)
    with pytest.raises(NotSent) as nobody:
        await send("http://127.0.0.1:9/hook")
    assert (refused.value.unsure, nobody.value.unsure) == (False, False)


async def test_a_body_that_never_ends_is_not_read(receiver: Receiver) -> None:
    receiver.answers = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\nx"
    await send(receiver.url)


async def test_no_error_and_no_log_line_holds_the_url(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for url in (f"http://127.0.0.1:1/{SECRET}", f"{receiver.url}/{SECRET}"):
        receiver.answers = lambda _: b"nonsense\r\n\r\n"
        with pytest.raises(NotSent) as caught:
            await send(url)
        assert "whsec" not in str(caught.value)
        assert "whsec" not in repr(Webhook(url, (KEY,)))
    assert "whsec" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "", "hidden.example", "ftp://hidden.example/x", "https:///x", "https://ann:pw@hidden.example/",
        "https://hidden.example:99999/", "http://hidden.example/", "https://hidden.example/\n", "https://hödden.example/",
    ],
)  # fmt: skip
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|sent|https") as caught:
        check_url(url, Allowed())
    assert not url or url not in str(caught.value)


def test_http_is_for_hosts_that_are_allowed() -> None:
    check_url("http://127.0.0.1:8080/x", LOOPBACK)
    check_url("http://hooks.internal/x", Allowed.parse(["hooks.internal"]))
    check_url("https://hooks.example/x", Allowed())
