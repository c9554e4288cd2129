"""The lines of docs/watching.md, subscribed with nats-py: stored facts are seen, refused appends are not."""

from __future__ import annotations

import re

import nats.js.errors
import pytest
from nats.aio.client import Client

from infra.documents.write import DOCS
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import append, cas, connect
from tests.support.waiting import eventually

LINES = re.findall(r"nats sub '([^']+)'", (DOCS / "watching.md").read_text())
FACTS = (
    ("task", "ID", "created"),
    ("task", "ID", "failed"),
    ("lock", "shop", "granted"),
    ("lock", "shop", "refused"),
    ("workspace", "shop", "registered"),
)


def fits(pattern: str, subject: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", r"[^.]+").replace(">", ".+"), subject))


@pytest.mark.parametrize("line", LINES)
async def test_a_plain_subscriber_sees_stored_facts_only(
    nats_server: EmbeddedNats, js_connection: Client, line: str
) -> None:
    guest = await connect(nats_server.url)
    seen: list[tuple[str, str]] = []

    async def note(message) -> None:
        seen.append((message.subject, message.headers["Nats-Sequence"]))

    await guest.subscribe(line, cb=note)
    await guest.flush()
    with pytest.raises(nats.js.errors.APIError):
        await append(js_connection, "ID", "failed", 99)
    last: dict[tuple[str, str], int] = {}
    for kind, entity, event in FACTS:
        headers = cas(kind, entity, last.get((kind, entity), 0))
        stored = await js_connection.jetstream().publish(
            f"towpath.append.{kind}.{entity}.{event}", b"{}", headers=headers
        )
        last[(kind, entity)] = stored.seq
    wanted = [
        (f"towpath.{kind}.{entity}.{event}", str(seq))
        for seq, (kind, entity, event) in enumerate(FACTS, start=1)
        if fits(line, f"towpath.{kind}.{entity}.{event}")
    ]
    assert wanted
    await eventually(lambda: len(seen) >= len(wanted))
    await guest.flush()
    assert seen == wanted
    await guest.close()
