"""What could not be applied, kept for 14 days on `towpath.dead.<kind>.<id>`; its headers say why."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from nats.aio.client import Client

from adapters.publish import publish

DETAIL_CHARS = 1000


class JetStreamDeadLetters:
    """Port `DeadLetters`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection

    async def keep(self, kind: str, subject_id: str, body: bytes, reason: str, detail: str) -> None:
        """See the port. The same once more within two minutes is kept once."""
        token = quote(subject_id, safe="").replace(".", "%2E")[:100] or "unknown"
        digest = hashlib.sha256(f"{kind}\n{subject_id}\n{reason}\n{detail}\n".encode() + body).hexdigest()
        headers = {
            "Nats-Msg-Id": digest,
            "towpath-reason": quote(reason),
            "towpath-detail": quote(detail[:DETAIL_CHARS], safe=" :,.;'()/-_"),
        }
        await publish(self._nc, "TOWPATH_DEAD", f"towpath.dead.{kind}.{token}", body, headers)
