"""A range of output counts as unsent until the server has taken all of it from the application."""

from __future__ import annotations

import asyncio

from starlette.types import Message

from api.streaming.live_response import OutputResponse, Streams


class Server:
    """As uvicorn: waits before each message, until what the one before it brought is taken."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        if self.sent and self.sent[-1].get("body"):
            await self.taken.wait()
        self.sent.append(message)

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_range_counts_until_the_connection_has_taken_it() -> None:
    server, streams = Server(), Streams(10)
    response = OutputResponse(b"x" * 1000, streams, {"Towpath-Output-Size": "1000"})
    answering = asyncio.create_task(response({"type": "http"}, server.receive, server.send))
    await asyncio.sleep(0)
    assert [message["type"] for message in server.sent] == ["http.response.start", "http.response.body"]
    assert streams.output_bytes == 1000
    server.taken.set()
    await answering
    assert streams.output_bytes == 0
    assert b"".join(message.get("body", b"") for message in server.sent) == b"x" * 1000
    assert not server.sent[-1].get("more_body", False)


async def test_a_reader_that_does_not_read_is_dropped_and_its_bytes_are_free() -> None:
    server, streams, cut = Server(), Streams(10, patience_seconds=0.01), asyncio.Event()
    scope = {"type": "http", "extensions": {"towpath.abort": {"call": cut.set}}}
    await OutputResponse(b"x", streams, {})(scope, server.receive, server.send)
    assert (cut.is_set(), streams.dropped, streams.output_bytes) == (True, 1, 0)
