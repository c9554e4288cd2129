"""Makes text of other programs storable and harmless.

NUL and lone surrogates are replaced or refused, the length is bounded, and hidden characters can be shown.
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
HIDDEN = re.compile(
    "[\\x7f-\\x9f\\xad\\u034f\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u115f\\u1160\\u17b4\\u17b5"
    "\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufe00-\\ufe0d\\ufeff"
    "\\uffa0\\ufff0-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3"
    "\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
"""Control characters (C1 too), formats such as writing directions, characters that are drawn as nothing, line
separators, lone surrogates. Not the two selectors of the look of emoji."""
STEERING = re.compile(f"[\\x00-\\x08\\x0b-\\x1f{HIDDEN.pattern.removeprefix('[')}")
"""Those and the other control characters, except line ends and tabs."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with NUL and lone surrogates replaced."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def visible(text: str) -> str:
    """`text` with each hidden or control character as its code point; line ends and tabs stay."""
    return STEERING.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


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
