"""Serialises large plain data as text, in parts, so that the event loop is not blocked.

One call that encodes or decodes ten megabytes of JSON blocks the whole process, even in a thread. The first
line therefore holds the data without its long parts (lists of lists or dicts, and dicts with many names).
Each other line, `[path, items]`, holds a piece of a long part and its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

PART_BYTES = 128 * 1024
"""Bytes that can be read or written in about a millisecond."""
MANY_NAMES = 64


async def write(value: Any) -> str:
    """The text of plain data, which must not change meanwhile; yields to other tasks."""
    lines = [orjson.dumps(_short(value))]
    size = 0
    for line in _stretches(value, []):
        lines.append(line)
        size += len(line)
        if size > PART_BYTES:
            size = 0
            await asyncio.sleep(0)
    return b"\n".join(lines).decode()


async def read(text: str) -> Any:
    """The data from its text; yields to other tasks."""
    first, *lines = text.split("\n")
    value, size = orjson.loads(first), 0
    for line in lines:
        path, items = orjson.loads(line)
        place = value
        for name in path:
            place = place[name]
        if isinstance(place, dict):
            place.update(items)
        else:
            place.extend(items)
        size += len(line)
        if size > PART_BYTES:
            size = 0
            await asyncio.sleep(0)
    return value


def _is_long(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) > MANY_NAMES
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict | list)


def _short(value: Any) -> Any:
    """The data without its long parts."""
    if _is_long(value):
        return type(value)()
    return {name: _short(one) for name, one in value.items()} if isinstance(value, dict) else value


def _stretches(value: Any, path: list[str]) -> Iterator[bytes]:
    """The lines for the long parts that `_short` left out; a dict comes before its values."""
    if isinstance(value, dict):
        if _is_long(value):
            entries = (orjson.dumps({name: _short(one)})[1:-1] for name, one in value.items())
            yield from _grouped(path, entries, b"{%s}")
        for name, one in value.items():
            yield from _stretches(one, [*path, name])
    elif _is_long(value):
        yield from _grouped(path, map(orjson.dumps, value), b"[%s]")


def _grouped(path: list[str], items: Iterable[bytes], form: bytes) -> Iterator[bytes]:
    place, group, size = orjson.dumps(path), list[bytes](), 0
    for item in items:
        if size + len(item) > PART_BYTES and group:
            yield b"[%s,%s]" % (place, form % b",".join(group))
            group, size = [], 0
        group.append(item)
        size += len(item)
    yield b"[%s,%s]" % (place, form % b",".join(group))
