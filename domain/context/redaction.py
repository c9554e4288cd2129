"""Redaction of JSON shown to people (env values, tokens, passwords), and the secrets in URLs."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
_ENV = "env"
_WORDS = ("token", "secret", "password", "authorization", "credential")
_OPEN = ("lock_token", "secret_names")
"""Not secret: a fencing token is only a number that orders grants, and names of secrets are no secrets."""


def without_secrets(value: Any) -> Any:
    """A copy of `value` with everything hidden under `env` or a name that suggests a secret, at any depth."""
    if isinstance(value, dict):
        return {
            name: _hidden(one) if _is_secret(name) else without_secrets(one) for name, one in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(one) for one in value]
    return value


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


def _hidden(value: Any) -> Any:
    """Hide all values; names, structure and null stay."""
    if isinstance(value, dict):
        return {name: _hidden(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return None if value is None else HIDDEN


def _is_secret(name: str) -> bool:
    plain = name.lower()
    return plain == _ENV or (plain not in _OPEN and any(word in plain for word in _WORDS))
