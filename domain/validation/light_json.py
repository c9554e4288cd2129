"""JSON as the module `json` reads and writes it, for processes that must start fast.

Importing `json` also compiles regular expressions, which takes `towpath lock` longer than a request. Here
the same parser and writer, those in C, are used without it; where they are called otherwise, it is `json`
itself. Bytes with a byte order mark are refused, and errors are ValueErrors without a place. Standard library
only: the shim imports it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

_SPACE = " \t\n\r"


class _Reading:
    """The settings of a parser: `json`'s own."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int

    @staticmethod
    def parse_constant(name: str) -> float:
        return float(name)  # NaN, Infinity, -Infinity


def _default(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


try:
    import _json

    _reading: Any = _Reading()
    _scan: Any = _json.make_scanner(_reading)
    _chunks: Any = _json.make_encoder(
        None, _default, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True
    )
except (ImportError, AttributeError, TypeError):  # another Python
    import json

    _scan = _chunks = None


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError."""
    if _scan is None:
        return json.loads(text)
    if not isinstance(text, str):
        text = text.decode()
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration as stopped:
        raise ValueError(f"no JSON value at character {stopped.value}") from None
    if end != len(text):
        raise ValueError(f"something stands behind the JSON value, at character {end}")
    return value


def dumps(value: object) -> str:
    """The JSON text of a value, in ASCII. Raises TypeError."""
    return json.dumps(value) if _chunks is None else "".join(_chunks(value, 0))
