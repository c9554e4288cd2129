"""The log as it is stored, without any of Towpath's own reading: from a NATS server, or from a file.

A file has one JSON object a line: `{"seq", "subject", "headers", "data"}`, `data` as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.nats import api, connect, direct_get_batch
from tests.support.waiting import eventually

BATCH = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of the stream."""

    seq: int
    subject: str
    headers: dict[str, str]
    data: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One message, read: `towpath.<kind>.<entity>.<name>`."""

    seq: int
    kind: str
    entity: str
    name: str
    id: str
    version: int
    attempt: int | None
    data: dict[str, Any]
    time: float
    """`ce-time`: the deciding process' clock, in seconds since 1970."""


def fact_of(stored: Stored) -> Fact:
    """Raises ValueError for what is no event of Towpath."""
    try:
        _, kind, entity, name = stored.subject.split(".")
        attempt = stored.headers.get("ce-attempt")
        return Fact(
            seq=stored.seq,
            kind=kind,
            entity=entity,
            name=name,
            id=stored.headers["ce-id"],
            version=int(stored.headers["ce-entityversion"]),
            attempt=int(attempt) if attempt else None,
            data=json.loads(stored.data),
            time=datetime.fromisoformat(stored.headers["ce-time"]).timestamp(),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"sequence {stored.seq} ({stored.subject}) is no event: {error!r}") from error


def write_log(path: Path, log: Iterable[Stored]) -> None:
    """Keep a log in a file."""
    with path.open("w", encoding="utf-8") as file:
        for one in log:
            line = {"seq": one.seq, "subject": one.subject, "headers": one.headers, "data": one.data}
            file.write(json.dumps(line) + "\n")


def read_log(path: Path) -> Iterator[Stored]:
    """The log that `write_log` kept."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Stored(**json.loads(line))


async def fetch_log(urls: str | list[str], **options: Any) -> list[Stored]:
    """The whole log as it stands on a server now; `options` go to `nats.connect` (user, password)."""
    nc = await connect(urls, **options)
    try:
        last = (await api(nc, "STREAM.INFO.TOWPATH"))["state"]["last_seq"]
        found: list[Stored] = []

        async def more() -> bool:
            body = {"seq": len(found) + 1, "next_by_subj": ">", "batch": BATCH}
            for message in await direct_get_batch(nc, body):
                headers = dict(message.headers or {})
                seq, subject = int(headers.pop("Nats-Sequence")), headers.pop("Nats-Subject")
                kept = {name: value for name, value in headers.items() if name.startswith("ce-")}
                found.append(Stored(seq, subject, kept, message.data.decode()))
            return len(found) >= last

        await eventually(more, 60)  # a follower that lags answers with less
        return found
    finally:
        await nc.close()
