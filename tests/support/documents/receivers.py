"""The receivers of docs/examples: what each of them must take, and what it must refuse."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import httpx

from adapters.notices.signature import headers, parse_secrets
from adapters.notices.webhook import cloud_event
from domain.notices.message import Message, Notice
from tests.support.messages import new_id, now
from tests.support.ports import free_port
from tests.support.waiting import until

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()


@dataclass(frozen=True)
class RunningReceiver:
    """A receiver in a process of its own."""

    url: str
    printed: IO[str]


@contextmanager
def running_receiver(command: Sequence[str]) -> Iterator[RunningReceiver]:
    """Start it on a free port, and wait until it answers."""
    port = free_port()
    process = subprocess.Popen(
        [*command, str(port)],
        env={"TOWPATH_WEBHOOK_SECRET": SECRET, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}/hook"
    try:
        until(lambda: _answers(url), 60.0)
        assert process.stdout is not None
        yield RunningReceiver(url, process.stdout)
    finally:
        process.kill()
        process.communicate()


def _answers(url: str) -> bool:
    try:
        httpx.post(url, content=b"", trust_env=False)
    except httpx.TransportError:
        return False
    return True


def check_receiver(receiver: RunningReceiver) -> None:
    """What is genuine is taken and printed once; everything else is refused."""
    message = Message(
        id=new_id(),
        type="towpath.task.failed.v1",
        subject="t",
        at=now(),
        notice=Notice(name="failed", text="failed: Grüße"),
    )
    body = cloud_event(message)

    def status(given: dict[str, str], sent: bytes = body) -> int:
        return httpx.post(receiver.url, content=sent, headers=given, trust_env=False).status_code

    at = int(time.time())
    genuine = headers(parse_secrets(SECRET), message.id, at, body)
    both = headers(parse_secrets(f"{OTHER} {SECRET}"), message.id, at, body)
    assert status({}) == 401
    assert status(headers(parse_secrets(OTHER), message.id, at, body)) == 401
    assert status(headers(parse_secrets(SECRET), message.id, at - 3600, body)) == 401
    assert status(genuine, body + b" ") == 401
    assert status({**genuine, "webhook-id": new_id()}) == 401
    assert status(genuine) == 204
    assert status(both) == 204
    last = Message(**{**message.model_dump(), "id": new_id(), "notice": Notice(name="x", text="the last")})
    ended = cloud_event(last)
    assert status(headers(parse_secrets(SECRET), last.id, at, ended), ended) == 204
    assert [receiver.printed.readline().strip() for _ in range(2)] == ["failed: Grüße", "the last"]
