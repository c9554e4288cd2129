"""Redacts a job's output before it leaves the host: its tail, without declared secret values.

The whole output stays in a file of the state directory (mode 0600). A value is also masked without
surrounding white space, line by line, and in its JSON form. Values and lines shorter than three bytes stay:
masking every `1` hides nothing and destroys the output. Encoded (base64, URL) or cut secrets are not
recognised.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from domain.protocol import OUTPUT_TAIL_BYTES

MASK = b"[redacted]"
SHORTEST_SECRET = 3
MOST_PLACES = 100_000
_COVERED = re.compile(b"[\1\2]\1*")


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each of `secrets` masked."""
    return _masked(text.encode("utf-8", "replace"), secret_forms(secrets), 0).decode("utf-8", "replace")


def secret_forms(secrets: Iterable[str]) -> list[bytes]:
    """Every byte string to be masked for these values."""
    found: set[bytes] = set()
    for secret in secrets:
        for form in (secret, secret.strip(), *(line.strip() for line in secret.splitlines())):
            found |= {text.encode("utf-8", "replace") for text in (form, *_in_json(form))}
    return [form for form in found if len(form) >= SHORTEST_SECRET]


def tail_reach(secrets: Iterable[str]) -> int:
    """How many bytes at the end of an output `output_tail` reads."""
    return OUTPUT_TAIL_BYTES + max(map(len, secret_forms(secrets)), default=0)


def output_tail(path: Path, secrets: Iterable[str]) -> str | None:
    """The last 8 KiB of the output in `path`, redacted; None if there is no output.

    Reads further back by the length of the longest secret, so that one cut at the edge is recognised.
    """
    known = list(secrets)
    reach = tail_reach(known)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - reach)
            file.seek(start)
            raw = file.read(reach)
    except FileNotFoundError:
        return None
    cut = max(0, size - OUTPUT_TAIL_BYTES) - start
    return _masked(raw, secret_forms(known), cut).decode("utf-8", "replace") or None


def output_size(path: Path) -> int:
    """The size of the output in `path`; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _in_json(text: str) -> tuple[str, str]:
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def _masked(raw: bytes, forms: Iterable[bytes], cut: int) -> bytes:
    """`raw` from offset `cut` on, with every secret that ends after `cut` masked."""
    parts, at = [], cut
    for place in _COVERED.finditer(_covered(raw, forms, cut), cut):
        parts += [raw[at : place.start()], MASK]
        at = place.end()
    return b"".join([*parts, raw[at:]])


def _covered(raw: bytes, forms: Iterable[bytes], cut: int) -> bytearray:
    """One byte for each byte of `raw`: 0 is shown, 2 begins a secret that ends after `cut`, 1 continues it.

    Overlapping secrets count as one. Secrets that occur within each other could take very long to find, so
    from MOST_PLACES on everything is masked: that loses output, but no secret.
    """
    covered, places = bytearray(len(raw)), 0
    for form in forms:
        at, done = raw.find(form, max(0, cut - len(form) + 1)), 0
        while at >= 0:
            places += 1
            if places > MOST_PLACES:
                return bytearray(b"\2" + b"\1" * (len(raw) - 1))
            new, end = max(at, done), at + len(form)
            begins = new == at and covered[at] != 1
            covered[new:end] = b"\1" * (end - new)
            if begins:
                covered[at] = 2
            done = end
            at = raw.find(form, at + 1)
    return covered
