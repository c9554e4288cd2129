"""Session cookies of the console: proof that a browser has sent one of the operators' tokens.

A cookie names its token by an HMAC, so it holds nothing that a token could be guessed from, and it is good
only while that token is configured with the same role and name. Every API process of the installation
accepts it, since the keys are derived from the installation's secret key. See docs/adr/0061-session-
cookie.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.config import OperatorToken

SESSION_LIFE = timedelta(hours=12)
COOKIE = "towpath_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
_PURPOSE = b"towpath console session\n"
_MOST_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """A valid cookie: whose token it stands for, and until when."""

    token: OperatorToken
    expires: datetime


class Sessions:
    """Mints cookie values with the first key, and accepts values of any key (for rotation)."""

    def __init__(self, *keys: bytes) -> None:
        if not keys or not all(keys):
            raise ValueError("sessions need at least one key")
        self._keys = [hashlib.sha256(_PURPOSE + key).digest() for key in keys]

    def mint(self, token: OperatorToken, now: datetime) -> tuple[str, Session]:
        """The cookie's value for the holder of `token`, and the session that it begins."""
        expires = int((now + SESSION_LIFE).timestamp())
        key = self._keys[0]
        claims = {
            "actor": _actor(token),
            "role": token.role.label,
            "expires": expires,
            "token": _id(key, token),
        }
        body = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode()
        return f"{body}.{_mac(key, body.encode())}", Session(token, datetime.fromtimestamp(expires, UTC))

    def check(self, value: str, tokens: Iterable[OperatorToken], now: datetime) -> Session | None:
        """The session of a cookie; None if it is forged or over, or its token is no longer in `tokens`."""
        body, _, mac = value.partition(".")
        if len(value) > _MOST_CHARS:
            return None
        given, signed = mac.encode("utf-8", "replace"), body.encode("utf-8", "replace")
        key = next(
            (one for one in self._keys if hmac.compare_digest(_mac(one, signed).encode(), given)), None
        )
        if key is None:
            return None
        try:
            claims = json.loads(base64.urlsafe_b64decode(body))
        except (binascii.Error, ValueError):
            return None
        expires = datetime.fromtimestamp(claims["expires"], UTC)
        wanted = (claims["token"], claims["actor"], claims["role"])
        if now >= expires:
            return None
        found = (one for one in tokens if (_id(key, one), _actor(one), one.role.label) == wanted)
        return next((Session(one, expires) for one in found), None)


def _actor(token: OperatorToken) -> str:
    return f"{token.role.label}:{token.shown_name}"


def _id(key: bytes, token: OperatorToken) -> str:
    return _mac(key, b"token\n" + token.digest)


def _mac(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()
