"""Signatures of webhooks by the Standard Webhooks scheme, version `v1` (HMAC-SHA256).

Signed is `<webhook-id>.<webhook-timestamp>.<body>`. With several keys the header holds a signature of each,
so that a receiver can change its key at any time.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The keys in `whsec_…` texts, separated by spaces or lines.

    Raises:
        ValueError: there is none, or one is malformed; the message does not hold it.
    """
    keys = tuple(_key(one) for one in text.split())
    if not keys:
        raise ValueError("it is empty: give a secret such as `towpath notifier init` makes")
    return keys


def _key(text: str) -> bytes:
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(
            f"a secret is `{PREFIX}` and the Base64 form of {LEAST_BYTES} to {MOST_BYTES} random bytes"
        )
    return key


def headers(keys: Sequence[bytes], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a request with this body."""
    signed = f"{id}.{timestamp}.".encode() + body
    signatures = [b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
