"""Opens the standard streams so that they accept any text.

Characters that the stream cannot encode, lone surrogates included, are written as JSON escapes: lossless, and
JSON stays JSON under `LC_ALL=C`, too.
"""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

from infra.runtime.standard_streams import open_missing

ESCAPES = "towpath-json-escapes"


def open_streams() -> None:
    """Configure stdin, stdout and stderr; further calls do nothing."""
    open_missing()
    codecs.register_error(ESCAPES, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ESCAPES)


def as_written(text: str) -> str:
    """`text` as stdout will show it, escapes included; its width counts."""
    encoding = sys.stdout.encoding
    if sys.stdout.errors != ESCAPES:
        return text
    return text.encode(encoding, ESCAPES).decode(encoding)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Characters that cannot be encoded as `\\uXXXX`, two of them beyond the first plane."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    escaped = (f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return "".join(escaped), error.end
