"""Loopback addresses, which only this machine can reach and which need no token; secrets in URLs."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote, urlsplit


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, IPv6 with or without brackets) is this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def secrets_in_urls(urls: str | None, *, user_is_token: bool = True) -> list[str]:
    """The passwords in comma-separated URLs, each as written and percent-decoded.

    With `user_is_token`, a user without a password counts, too: NATS treats it as a token.
    """
    found: list[str] = []
    for url in (urls or "").split(","):
        try:
            parts = urlsplit(url.strip())
        except ValueError:
            continue  # no URL at all
        secret = parts.password or (parts.username if user_is_token else None)
        found += [secret, unquote(secret)] if secret else []
    return found
