"""String syntax of nats-server configuration files, which differs from JSON's.

It has escapes for a quote, a backslash and a byte, but none for Unicode characters. So everything except
plain ASCII is written byte by byte, which also works for paths that are not UTF-8.
"""

from __future__ import annotations

import os
from pathlib import Path

_PLAIN = frozenset(range(0x20, 0x7F)) - {ord('"'), ord("\\")}


def nats_string(value: str | Path) -> str:
    """`value` quoted, with the bytes that the file system or the environment had for it."""
    written = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(value))
    return f'"{"".join(written)}"'
