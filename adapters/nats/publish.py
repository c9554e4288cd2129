"""Acknowledged publishes to the streams beside the log, retried while NATS is unreachable.

With an id (`Nats-Msg-Id`), a message that is sent again after a lost acknowledgement is stored once. The
broker remembers the ids of a whole stream and does not compare messages: if another sender uses the same id
first, a message that was never stored is answered with `duplicate: true`. Therefore either no other sender
can know the id, or the caller compares the stored message (`Acknowledged.duplicate`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.nats.jetstream_api import LogUnreachable
from adapters.nats.request_reply import replies_of
from domain.backoff import Backoff

PUBLISH_SECONDS = 2.0
TRIES = 4
RETRY = Backoff(first_seconds=0.2)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The sequence of a message in its stream. `duplicate`: the stream already had a message with its id."""

    seq: int
    duplicate: bool


async def publish(
    connection: Client, stream: str, subject: str, body: bytes, headers: dict[str, str]
) -> Acknowledged:
    """Store `body` on `subject` of `stream`.

    Raises:
        LogUnreachable: not acknowledged after TRIES; the outcome is unknown.
    """
    headers = {**headers, "Nats-Expected-Stream": stream}
    why = ""
    for number in range(TRIES):
        if number:
            await asyncio.sleep(RETRY.after(number))
        try:
            answer = await replies_of(connection).ask(subject, body, PUBLISH_SECONDS, headers)
            told = orjson.loads(answer.data)
            refused = told.get("error")
        except (nats.errors.Error, ValueError) as error:
            why = repr(error)
            continue
        if not refused:
            return Acknowledged(int(told["seq"]), bool(told.get("duplicate")))
        why = str(refused.get("description"))
    raise LogUnreachable(f"stream {stream} did not acknowledge a message ({why})")
