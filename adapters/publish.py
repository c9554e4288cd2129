"""Publishing to the streams beside the log: with an acknowledgement, retried while NATS is away.

Each message has an id of its own, so that sending it again after a lost acknowledgement stores it once.
"""

from __future__ import annotations

import asyncio

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from adapters.jetstream_api import LogUnreachable

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
    jetstream = connection.jetstream()
    for number in range(TRIES):
        try:
            await jetstream.publish(subject, body, timeout=PUBLISH_SECONDS, stream=stream, headers=headers)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            if number == TRIES - 1:
                raise LogUnreachable(f"stream {stream} did not acknowledge a message") from error
            await asyncio.sleep(RETRY_SECONDS * 2**number)
        else:
            return
