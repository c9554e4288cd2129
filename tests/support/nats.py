"""Raw calls to a real NATS server, with the append headers that the design stands on."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import PubAck

from adapters.nats.client import READ_VERSIONS, Kind, installed_version, new_client
from infra.nats.embedded_server import EmbeddedNats

StartNats = Callable[..., EmbeddedNats]

CLIENT = cast(Kind, os.environ.get("TOWPATH_NATS_CLIENT", "auto"))
"""`TOWPATH_NATS_CLIENT=plain make test` runs every test on nats-py's own client."""
KINDS: tuple[Kind, ...] = ("plain", "fast") if installed_version() in READ_VERSIONS else ("plain",)
"""The clients that can be used with the installed nats-py."""
CONNECT_TIMEOUT_SECONDS = 30
EXPECT = "Nats-Expected-Last-Subject-Sequence"
EXPECT_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"


async def connect(url: str | list[str], kind: Kind = CLIENT, **options: Any) -> Client:
    """A client that reconnects for ever and never buffers while disconnected, like the product's.

    The client tries the first connection for ever too, so this one has a deadline: TimeoutError.
    """
    options = {"pending_size": 0, "max_reconnect_attempts": -1, "reconnect_time_wait": 0.05, **options}
    client = new_client(kind)
    await asyncio.wait_for(client.connect(url, **options), CONNECT_TIMEOUT_SECONDS)
    return client


class Answer(dict[str, Any]):
    """An answer of `$JS.API`; reading a field that it lacks raises AssertionError: "not yet" to `eventually`.

    Right after a server has started, JetStream answers with nothing but an `error`.
    """

    def __missing__(self, field: str) -> Any:
        raise AssertionError(f"JetStream's answer has no {field!r}: {dict(self)}")


async def api(nc: Client, verb: str, body: object = None, timeout: float = 5.0) -> Answer:
    """Answer of `$JS.API.<verb>`."""
    payload = b"" if body is None else json.dumps(body).encode()
    return Answer(json.loads((await nc.request(f"$JS.API.{verb}", payload, timeout=timeout)).data))


async def subjects(nc: Client, stream: str) -> dict[str, int]:
    """Stored subjects of `stream` with the number of messages of each."""
    info = await api(nc, f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
    return info["state"].get("subjects") or {}


def cas(kind: str, entity: str, expected: int, **headers: str) -> dict[str, str]:
    """Headers of an append that stands only if the entity's last sequence is `expected`."""
    return {EXPECT: str(expected), EXPECT_FILTER: f"towpath.{kind}.{entity}.*", **headers}


async def append(
    nc: Client, task: str, event: str, expected: int, body: bytes = b"{}", **headers: str
) -> PubAck:
    """Append `towpath.task.<task>.<event>` with the check; raises nats.js.errors.APIError when refused."""
    return await nc.jetstream().publish(
        f"towpath.append.task.{task}.{event}", body, headers=cas("task", task, expected, **headers)
    )


async def append_batch(nc: Client, batch: str, messages: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """Publish (subject, headers) pairs as one atomic batch; the answer to its commit."""
    for number, (subject, headers) in enumerate(messages, start=1):
        headers = {**headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        if number == len(messages):
            answer = await nc.request(
                subject, b"{}", headers={**headers, "Nats-Batch-Commit": "1"}, timeout=5
            )
        elif number == 1:
            answer = await nc.request(subject, b"{}", headers=headers, timeout=5)
        else:
            await nc.publish(subject, b"{}", headers=headers)
            continue
        if answer.data:
            result: dict[str, Any] = json.loads(answer.data)
            return result
    raise AssertionError("the commit was not answered")


async def pulls(nc: Client, stream: str, consumer: str, wanted: int) -> list[dict[str, Any]]:
    """The next `wanted` requests for messages of a consumer, as a client sends them."""
    heard = await nc.subscribe(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}")
    found = [json.loads((await heard.next_msg(10)).data) for _ in range(wanted)]
    await heard.unsubscribe()
    return found


async def direct_get_batch(nc: Client, body: dict[str, Any]) -> list[Msg]:
    """Messages of one bounded direct get, without the end marker."""
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    await nc.publish("$JS.API.DIRECT.GET.TOWPATH", json.dumps(body).encode(), reply=inbox)
    found = []
    while "Status" not in ((message := await answers.next_msg(5)).headers or {}):
        found.append(message)
    await answers.unsubscribe()
    return found
