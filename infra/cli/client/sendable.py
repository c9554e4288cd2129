"""Rejects text that cannot be sent: shell arguments that are not valid UTF-8."""

from __future__ import annotations

from typing import Any

from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit


def check_sendable(value: Any, where: str) -> None:
    """Reject strings that are not valid UTF-8 anywhere in `value`, a JSON value; `where` names its place.

    Raises:
        CliError: names the place, never the text, which may be a secret.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise CliError(
                f"{where or 'the text'} has bytes that are no UTF-8, which cannot be sent as text", Exit.USAGE
            ) from None
    elif isinstance(value, dict):
        for name, one in value.items():
            check_sendable(name, f"a name in {where}" if where else "a name")
            check_sendable(one, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value, start=1):
            check_sendable(one, f"{where} {number}")
