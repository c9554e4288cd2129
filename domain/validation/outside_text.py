"""Makes text of other programs storable: NUL and lone surrogates are replaced or refused, length is bounded.

A JavaScript runner that cuts its output in the middle of an emoji sends a lone surrogate; a C program may
send NUL. UTF-8 cannot encode the one, and PostgreSQL cannot store the other. In text for people such a
character is replaced. In text that a computer acts on (a command, a path, an id) it is refused, since a
replacement would change the command.
"""

from __future__ import annotations

import re
from typing import Any

REPLACEMENT = "\ufffd"
MORE = "…"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with NUL and lone surrogates replaced."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def cleaned(value: Any) -> Any:
    """For validators: `storable(value)` if `value` is text, else `value`."""
    return storable(value) if isinstance(value, str) else value


def shortened(text: str, most: int) -> str:
    """The beginning of `text`, at most `most` characters; a cut text ends with an ellipsis."""
    return text if len(text) <= most else text[: most - len(MORE)] + MORE


def refuse_unstorable(value: str) -> str:
    """For validators: `value`, or ValueError if it cannot be stored as it is."""
    if "\x00" in value:
        raise ValueError("NUL cannot stand here")
    if _UNSTORABLE.search(value):
        raise ValueError("a lone surrogate cannot stand here: it has no UTF-8 form")
    return value
