"""Reads HTTP responses of other programs up to a bound, never decompressed.

A few compressed bytes can expand to gigabytes, so requests ask for uncompressed answers
(`Accept-Encoding: identity`), and a compressed answer is not read. The caller sets the timeout of the whole
exchange.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping

PLAIN = {"Accept-Encoding": "identity"}
"""The header for every request."""


class AnswerUnusable(Exception):
    """The answer is larger than this program reads, or compressed; the message says which."""


def check_plain(headers: Mapping[str, str]) -> None:
    """Raise AnswerUnusable if these headers announce a compressed answer."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise AnswerUnusable("the answer is compressed, though the request forbids that: turn that off there")


async def bounded(headers: Mapping[str, str], raw: AsyncIterable[bytes], most: int) -> bytes:
    """The body, read from the undecoded chunks `raw`. Raises AnswerUnusable beyond `most` bytes."""
    check_plain(headers)
    body = bytearray()
    async for chunk in raw:
        body += chunk
        if len(body) > most:
            raise AnswerUnusable(f"the answer is larger than {most} bytes")
    return bytes(body)


def bounded_now(headers: Mapping[str, str], raw: Iterable[bytes], most: int) -> bytes:
    """The synchronous form of `bounded`."""
    check_plain(headers)
    body = bytearray()
    for chunk in raw:
        body += chunk
        if len(body) > most:
            raise AnswerUnusable(f"the answer is larger than {most} bytes")
    return bytes(body)
