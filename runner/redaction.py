"""What of a job's output may leave the host: its end, without the values it was given in confidence.

The whole output stays in a file of the state directory (mode 0600). Values shorter than three bytes
are left alone: taking every `1` out of an output hides nothing and destroys it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from domain.wire import OUTPUT_TAIL_BYTES

MASK = b"[redacted]"
SHORTEST_SECRET = 3


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each of `secrets` masked."""
    return _masked(text.encode("utf-8", "replace"), secrets, 0).decode("utf-8", "replace")


def tail_reach(secrets: Iterable[str]) -> int:
    """How many bytes of an output's end `output_tail` looks at."""
    longest = max((len(secret.encode("utf-8", "replace")) for secret in secrets), default=0)
    return OUTPUT_TAIL_BYTES + longest


def output_tail(path: Path, secrets: Iterable[str]) -> str | None:
    """The last 8 KiB of the output in `path`, redacted; None where there is no output.

    Reads further back by the longest secret, so that one cut in two at the edge is still recognised.
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
    return _masked(raw, known, cut).decode("utf-8", "replace") or None


def _masked(raw: bytes, secrets: Iterable[str], cut: int) -> bytes:
    """`raw` from offset `cut` on, with every secret that reaches beyond `cut` masked."""
    values = {secret.encode("utf-8", "replace") for secret in secrets}
    longest_first = sorted((v for v in values if len(v) >= SHORTEST_SECRET), key=len, reverse=True)
    if not longest_first:
        return raw[cut:]
    parts, at = [], cut
    for match in re.finditer(b"|".join(map(re.escape, longest_first)), raw):
        if match.end() > cut:
            parts += [raw[at : max(at, match.start())], MASK]
            at = match.end()
    return b"".join([*parts, raw[at:]])
