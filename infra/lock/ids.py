"""Ids that a client makes, without importing a library for them."""

from __future__ import annotations

import os
import time


def uuid7() -> str:
    """A fresh UUIDv7."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6) + os.urandom(10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
