"""Case-insensitive access to headers of other programs.

HTTP libraries send `x-runner-token` as well as `X-Runner-Token`, and a program that uses both NATS and HTTP
often has one function for both. NATS keeps names as written, so readers compare them case-insensitively.
"""

from __future__ import annotations

from collections.abc import Mapping


def header(headers: Mapping[str, str] | None, name: str) -> str | None:
    """The value of header `name` in any case, or None. An exact match is preferred."""
    if not headers:
        return None
    if name in headers:
        return headers[name]
    wanted = name.lower()
    return next((value for given, value in headers.items() if given.lower() == wanted), None)
