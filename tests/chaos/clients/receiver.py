"""A receiver of webhooks that writes down what it is told, and is no better than real ones.

Now and then it refuses, or takes a notice and loses its own answer, so that the sender cannot know. It checks
signatures by the scheme's own rules, with none of Towpath's code.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import random
from base64 import b64decode, b64encode
from collections import Counter

from tests.chaos.history import History

SECRET = "whsec_" + b64encode(b"a secret of a chaos run, 32 bytes").decode()
EVENTS = ("failed", "asked")
"""What the run's rule names."""
REFUSED, UNANSWERED = 0.03, 0.03
BODY_BYTES = 1 << 20


class Receiver:
    """Listens on `host:port`. `done` counts its answers: taken, refused, lost."""

    def __init__(self, listen: tuple[str, int], history: History) -> None:
        self.listen = listen
        self.done: Counter[str] = Counter()
        self._history = history
        self._random = random.Random(0)
        self._server: asyncio.Server | None = None

    @property
    def configuration(self) -> str:
        """The file of channels and rules that lets a notifier tell this receiver."""
        host, port = self.listen
        return f"""\
[[channel]]
name = "hook"
kind = "webhook"
url = "http://{host}:{port}/hook"
secret = "{SECRET}"
allow = ["{host}"]

[[rule]]
channel = "hook"
events = {json.dumps(EVENTS)}
"""

    async def start(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._server = await asyncio.start_server(self._accept, *self.listen)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError, KeyError):
            while (answer := await self._one(reader)) is not None:
                writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader) -> str | None:
        """Take one request; the status to answer with, or None for none."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        body = await reader.readexactly(min(int(headers["content-length"]), BODY_BYTES))
        id = headers["webhook-id"]
        signed = f"{id}.{headers['webhook-timestamp']}.".encode() + body
        made = hmac.digest(b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256)
        if headers["webhook-signature"] != f"v1,{b64encode(made).decode()}":
            self._history.note("told", notice=id, name="forged", again=False)
            return "401 Unauthorized"
        if self._random.random() < REFUSED:
            self.done["refused"] += 1
            return "503 Service Unavailable"
        notice = json.loads(body)["data"]["notice"]
        self._history.note("told", notice=id, name=notice["name"], again=notice["again"])
        lost = self._random.random() < UNANSWERED
        self.done["lost" if lost else "taken"] += 1
        return None if lost else "204 No Content"
