"""Task ids: random ones, and ones derived from a key of the program."""

from __future__ import annotations

import os
import time
from uuid import UUID, uuid5

KEY_NAMESPACE = UUID("02d5bd03-6e69-5891-9fcd-4470086a9e95")
"""The namespace of ids that are made from keys, `uuid5(NAMESPACE_URL, "urn:towpath:task-key")`; it stays."""


def id_of_key(key: str) -> str:
    """The task id that `key` stands for: a UUID of version 5 in KEY_NAMESPACE."""
    return str(uuid5(KEY_NAMESPACE, key))


def new_id() -> str:
    """A fresh task id, a UUID of version 7."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return str(UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
