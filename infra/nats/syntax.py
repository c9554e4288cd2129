"""String syntax of nats-server configuration files, which differs from JSON's.

It knows the escapes for a quote, a backslash and a byte, but not JSON's for characters. So everything but
plain ASCII is written byte by byte, which also serves paths that are not UTF-8.
"""

from __future__ import annotations

import os
from pathlib import Path

_PLAIN = frozenset(range(0x20, 0x7F)) - {ord('"'), ord("\\")}


def nats_string(value: str | Path) -> str:
    """`value` quoted, with the bytes that the file system or the environment had for it."""
    written = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(value))
    return f'"{"".join(written)}"'
