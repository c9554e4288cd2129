"""Redaction of JSON shown to people: env values, tokens and passwords are replaced."""

from __future__ import annotations

from typing import Any

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
