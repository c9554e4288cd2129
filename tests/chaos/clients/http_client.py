"""One HTTP request on a connection of its own, with one deadline for all of it.

No pool: in a run most trouble is with connections, and a pool that remembers broken ones would be one more
thing to explain.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

Headers = dict[str, str]


class NoAnswer(Exception):
    """No complete answer came; the request may have been carried out."""


async def request(
    address: tuple[str, int], method: str, path: str, body: Any, headers: Headers, seconds: float
) -> tuple[int, Any]:
    """Status and JSON of the answer. Raises NoAnswer."""
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(payload)}"]
    if body is not None:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(head + payload)
            return await _answer(reader)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        raise NoAnswer(type(error).__name__) from None
    finally:
        if writer is not None:
            writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"])) if "content-length" in headers else b""
    return int(first.split(" ")[1]), json.loads(body or b"null")
