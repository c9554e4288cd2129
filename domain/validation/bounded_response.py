"""Reads HTTP responses of other programs up to a bound, never decompressed.

A few compressed bytes can stand for gigabytes, so requests ask for what is not compressed
(`Accept-Encoding: identity`), and an answer that is compressed all the same is not read. How long an exchange
may take is its caller's to bound, as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping

PLAIN = {"Accept-Encoding": "identity"}
"""The header that every request takes along."""


class AnswerUnusable(Exception):
    """The answer is larger than this program reads, or compressed; the message says which."""


def check_plain(headers: Mapping[str, str]) -> None:
    """Raise AnswerUnusable for an answer with these headers that would have to be unpacked."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise AnswerUnusable("the answer is compressed, though the request forbids that: turn that off there")


async def bounded(headers: Mapping[str, str], raw: AsyncIterable[bytes], most: int) -> bytes:
    """The body whose bytes, as they came, are `raw`. Raises AnswerUnusable beyond `most` bytes."""
    check_plain(headers)
    body = bytearray()
    async for chunk in raw:
        body += chunk
        if len(body) > most:
            raise AnswerUnusable(f"the answer is larger than {most} bytes")
    return bytes(body)


def bounded_now(headers: Mapping[str, str], raw: Iterable[bytes], most: int) -> bytes:
    """The same where nothing is awaited."""
    check_plain(headers)
    body = bytearray()
    for chunk in raw:
        body += chunk
        if len(body) > most:
            raise AnswerUnusable(f"the answer is larger than {most} bytes")
    return bytes(body)
