"""Writes lock entries as JSON in parts, so that a large one does not block other requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import orjson
from starlette.responses import Response, StreamingResponse

from domain.locks.view import EntryPicture, SeeRunner

SLICE_BYTES = 256 * 1024
PART_STRINGS = 4096
"""Writing this many takes about a millisecond."""


async def entries_json(pictures: Iterable[EntryPicture], see: SeeRunner | None = None) -> list[bytes]:
    """The entries as JSON; yields to other requests in between. `see` tells about the holders' runners."""
    entries: list[bytes] = []
    for picture in pictures:
        written: list[bytes] = []
        strings = 0
        for piece, size in _pieces(picture, see):
            written.append(piece)
            strings += size
            if strings > PART_STRINGS:
                strings = 0
                await asyncio.sleep(0)
        entries.append(b"".join(written))
    return entries


def in_slices(body: bytes) -> Response:
    """`body` as a JSON response. A large one is sent in slices on demand: copying it takes time."""
    if len(body) <= SLICE_BYTES:
        return Response(body, media_type="application/json")

    async def slices() -> AsyncIterator[bytes]:
        for start in range(0, len(body), SLICE_BYTES):
            yield body[start : start + SLICE_BYTES]
            await asyncio.sleep(0)

    headers = {"Content-Length": str(len(body))}
    return StreamingResponse(slices(), media_type="application/json", headers=headers)


def _pieces(picture: EntryPicture, see: SeeRunner | None) -> Iterator[tuple[bytes, int]]:
    """The entry in pieces, each with its number of strings."""
    yield b'{"workspace":' + orjson.dumps(picture.workspace), 1
    for name, rows in (("holders", picture.holders(see)), ("waiters", _short_cut(picture.waiters()))):
        yield b',"%s":[' % name.encode(), 0
        comma = b""
        for row in rows:
            yield comma + orjson.dumps(row), 1 + len(row["paths"])
            comma = b","
        yield b"]", 0
    yield b"}", 0


def _short_cut(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows; a `blocked_by` that equals the previous row's is serialised once."""
    names, fragment = None, orjson.Fragment(b"[]")
    for row in rows:
        if row["blocked_by"] is not names:
            names = row["blocked_by"]
            fragment = orjson.Fragment(orjson.dumps(names))
        row["blocked_by"] = fragment
        yield row
