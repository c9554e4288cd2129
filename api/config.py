"""API configuration: who may call and where it may listen, checked before it listens.

Operator tokens are stored as SHA-256 digests only, so that neither a dump nor a log line of the settings
reveals one. Without tokens the API is open; that is acceptable on loopback only, since it executes commands.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from domain.context.loopback import is_loopback
from domain.validation.token_rules import MIN_TOKEN_CHARS, too_short

BODY_LIMIT_BYTES = 512 * 1024
CONSOLE_BUNDLE = Path(__file__).with_name("console") / "dist"
"""Where `make console` puts the console, and where the wheel has it."""


class ApiConfigError(ValueError):
    """The settings are inconsistent; the message says what to change."""


class Role(IntEnum):
    """What an operator's token permits; each role includes the lower ones."""

    VIEWER = 1
    AUDITOR = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def label(self) -> str:
        """The role's name in lower case, as in settings."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """One operator's token: its role and the SHA-256 digest of its UTF-8 bytes.

    `name`: whose it is; None leaves events to name its fingerprint. `behalf`: its holder may act on behalf of
    others. `place`: where it was configured, for errors.
    """

    role: Role
    digest: bytes = field(repr=False)
    chars: int = field(default=MIN_TOKEN_CHARS, repr=False, compare=False)
    name: str | None = None
    behalf: bool = False
    place: str = field(default="", repr=False, compare=False)

    @property
    def shown_name(self) -> str:
        """Its name in events; without one the first 8 hex digits of the digest."""
        return self.name or self.digest.hex()[:8]


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Settings of the API.

    `operator_tokens`: tokens for operators' routes; empty leaves them open (loopback only). `callback_token`:
    what runners must send in X-Runner-Token, unless they send their attempt's own token; None accepts reports
    without a token. `callback_token_previous` is accepted too, during a rotation. `body_limit_bytes`: the
    largest request body. `max_requests`, `max_streams`: limits of concurrent requests and live streams.
    `submit_deadline_seconds`: within which a runner must take an attempt.
    `hosts`: names the API answers to, besides IP addresses and `localhost`. `ready_seconds`: the timeout
    of the checks behind `/readyz`.
    """

    operator_tokens: tuple[OperatorToken, ...] = ()
    callback_token: str | None = field(default=None, repr=False)
    callback_token_previous: str | None = field(default=None, repr=False)
    body_limit_bytes: int = BODY_LIMIT_BYTES
    max_requests: int = 1000
    max_streams: int = 1000
    submit_deadline_seconds: float = 30.0
    hosts: tuple[str, ...] = ()
    ready_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.callback_token == "":
            raise ApiConfigError("API_RUNNER_CALLBACK_TOKEN is empty; set a token or leave it unset")
        if self.callback_token is None and self.callback_token_previous is not None:
            raise ApiConfigError("API_RUNNER_CALLBACK_TOKEN_PREVIOUS goes with API_RUNNER_CALLBACK_TOKEN")
        if self.body_limit_bytes < 1:
            raise ApiConfigError("the body limit must be at least 1 byte")

    def accepts_callback(self, token: str) -> bool:
        """Whether `token` is the callback token or the previous one; in constant time."""
        given, accepted = digest_of(token), False
        for known in (self.callback_token, self.callback_token_previous):
            if known is not None and hmac.compare_digest(digest_of(known), given):
                accepted = True
        return accepted


def digest_of(token: str) -> bytes:
    """The digest that is stored and compared instead of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def check_listen(host: str, config: ApiConfig) -> None:
    """Raise unless operator tokens of sufficient length are set, or `host` is loopback.

    Raises:
        ApiConfigError: with what to set, or where to listen instead.
    """
    if is_loopback(host):
        return
    for token in config.operator_tokens:
        if problem := too_short(token.chars):
            raise ApiConfigError(f"listening on {host}: {token.place} {problem}")
    if config.operator_tokens:
        return
    raise ApiConfigError(
        f"listening on {host or 'every address'} would let anyone who reaches it run commands; "
        "set TOWPATH_API_TOKENS (role=name:token,…), or listen on 127.0.0.1"
    )
