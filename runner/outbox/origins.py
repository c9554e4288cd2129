"""Allowed callback origins (scheme, host, port), exactly as configured.

A submission names the URL, but its sender may not be entitled to make this host call others. A host name
alone would allow every port of it; on loopback, every service of this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import httpx

from runner.errors import SubmissionRefused

DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Scheme, host and port of an http(s) URL, normalised. Raises ValueError for anything else.

    Rejects what two parsers may read differently: users, backslashes, escapes in the host, white space.
    """
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\"):
        raise ValueError("write it in printable ASCII, without spaces and backslashes")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("it is not a URL") from None
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    if parsed.scheme not in DEFAULT_PORTS or not parsed.host or set(authority) & set("@%"):
        raise ValueError("give http:// or https:// and a host, without a user")
    host = parsed.host.lower()
    if ":" in host:
        host = f"[{ipaddress.ip_address(host).compressed}]"
    return f"{parsed.scheme}://{host}:{parsed.port or DEFAULT_PORTS[parsed.scheme]}"


def check_callback_url(url: str, allowed: Iterable[str]) -> None:
    """Raise SubmissionRefused unless `url` has one of the `allowed` origins, such as `http://api:8000`."""
    try:
        found = origin(url)
    except ValueError as error:
        raise SubmissionRefused(422, "callback-url", f"status_callback_url: {error}") from None
    if found not in allowed:
        raise SubmissionRefused(
            422,
            "callback-url",
            f"this runner does not call back to {found}: start it with that TOWPATH_URL or "
            "API_RUNNER_CALLBACK_BASE_URL",
        )
