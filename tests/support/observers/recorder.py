"""Listens to all that is put on NATS beside a running test, and judges it by the published contract.

One core subscription of the control plane's own user to `towpath.>`, on a thread and loop of its own: it sees
every publish, refused ones too, and survives a server that a test kills and starts again. What is published
while it is away is not seen; everything else is, and a message that breaks the contract fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.nats import connect
from tests.support.observers.contract import EVENT, Seen, published

START_SECONDS = 20.0
SHOWN = 10


class Recorder:
    """`close` ends it and raises AssertionError if anything broke the contract."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.seen: Counter[str] = Counter()
        self._wrongs: list[str] = []
        self._url, self._login = url, {"user": user, "password": password}
        self._listening, self._closing = threading.Event(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="contract-recorder", daemon=True)
        self._thread.start()
        assert self._listening.wait(START_SECONDS), f"no connection to {url}"

    def close(self) -> None:
        """End; what had come is judged. May be called twice."""
        if not self._closing.is_set():
            self._closing.set()
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(START_SECONDS)
            assert not self._thread.is_alive(), "the recorder does not end"
        wrongs, self._wrongs = self._wrongs, []
        assert not wrongs, "on NATS, not as the contract says:\n" + "\n".join(wrongs[:SHOWN])

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        client = await connect(self._url, **self._login, error_cb=self._trouble)
        await client.subscribe("towpath.>", cb=self._judge)
        await client.flush()
        self._listening.set()
        await self._stop.wait()
        await _end(client)

    async def _judge(self, message: Msg) -> None:
        kind = ".".join(message.subject.split(".")[:2])
        self.seen[kind if not EVENT.match(message.subject) else "towpath.event"] += 1
        try:
            found = published().wrongs(Seen(message.subject, message.headers or {}, message.data))
        except Exception as error:  # nats-py would take it for a passing trouble of the connection
            found = [f"{message.subject}: cannot even be judged: {error!r}"]
        self._wrongs += found

    async def _trouble(self, error: Exception) -> None:
        """A server that a test kills is no news; messages that nobody judged are."""
        if isinstance(error, nats.errors.SlowConsumerError):
            self._wrongs.append(f"{error}: messages came faster than they could be judged")


async def _end(client: Client) -> None:
    """Take what the server still has for us, if there is a server."""
    if client.is_connected:
        with contextlib.suppress(nats.errors.Error, OSError):
            await client.flush(timeout=2)
    await client.close()
