"""Publishing to the streams beside the log: with an acknowledgement, retried while NATS is away.

Each message has an id of its own, so that sending it again after a lost acknowledgement stores it once.
"""

from __future__ import annotations

import asyncio

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.jetstream_api import LogUnreachable
from adapters.replies import replies_of

PUBLISH_SECONDS = 2.0
TRIES = 4
RETRY_SECONDS = 0.2


async def publish(
    connection: Client, stream: str, subject: str, body: bytes, headers: dict[str, str]
) -> None:
    """Store `body` on `subject` of `stream`.

    Raises:
        LogUnreachable: not acknowledged after TRIES; it may or may not be stored.
    """
    headers = {**headers, "Nats-Expected-Stream": stream}
    why = ""
    for number in range(TRIES):
        if number:
            await asyncio.sleep(RETRY_SECONDS * 2 ** (number - 1))
        try:
            answer = await replies_of(connection).ask(subject, body, PUBLISH_SECONDS, headers)
            refused = orjson.loads(answer.data).get("error")
        except (nats.errors.Error, ValueError) as error:
            why = repr(error)
            continue
        if not refused:
            return
        why = str(refused.get("description"))
    raise LogUnreachable(f"stream {stream} did not acknowledge a message ({why})")
