"""Rules for tokens: they fit into a header and, beyond loopback, are too long to be guessed."""

from __future__ import annotations

import re

MIN_TOKEN_CHARS = 16
HOW = "`openssl rand -hex 32` makes one"
_SENDABLE = re.compile(r"[!-~]+")


def token_problem(token: str) -> str | None:
    """Why `token` cannot be used, or None. The text never contains the token."""
    if not token.strip():
        return f"it is empty, which would leave open what it is to protect: set a token ({HOW}), or unset it"
    if not _SENDABLE.fullmatch(token):
        return (
            "a token consists of visible ASCII characters, without spaces or line breaks: no header can "
            f"carry others (does a line break stand at its end?); {HOW}"
        )
    return None


def too_short(chars: int) -> str | None:
    """Why a token of `chars` characters is too short for a service that other hosts can reach, or None."""
    if chars >= MIN_TOKEN_CHARS:
        return None
    return (
        f"has fewer than {MIN_TOKEN_CHARS} characters, so that others could guess it: {HOW}; "
        "on 127.0.0.1 a short one will do"
    )
