"""Case-insensitive access to headers of other programs.

HTTP libraries send `x-runner-token` as well as `X-Runner-Token`, and a program that speaks both NATS and HTTP
often has one function for both. NATS keeps names as they were written, so readers compare without case.
"""

from __future__ import annotations

from collections.abc import Mapping


def header(headers: Mapping[str, str] | None, name: str) -> str | None:
    """The value of header `name`, written in any case; None without it. The exact spelling goes first."""
    if not headers:
        return None
    if name in headers:
        return headers[name]
    wanted = name.lower()
    return next((value for given, value in headers.items() if given.lower() == wanted), None)
