"""The one reader of JSON that other programs send, over HTTP and NATS alike.

RFC 8259 wants UTF-8 without a byte order mark, yet programs send UTF-16, marks, bare control characters, NaN
and half surrogate pairs. What can be read in one way only is read. Of a name that comes twice the last value
counts, as in most languages. The rest (cut text, two values, a depth that exhausts the parser) is NotJson.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from domain.outside_text import storable

LONGEST_INTEGER = 400
"""Digits. A longer one is read as a number with an exponent, which is infinite."""
_PADDING = "\ufeff\x00 \t\r\n"

Model = TypeVar("Model", bound=BaseModel)
NotJson = json.JSONDecodeError
"""What `read_json` raises; a ValueError."""


def read_json(body: bytes) -> Any:
    """The value in `body`. Its text may hold lone surrogates and NUL, its numbers may be infinite or NaN.

    Raises:
        NotJson: `body` holds no JSON value, or one that is nested too deeply.
    """
    text = body.decode(json.detect_encoding(body), "replace").strip(_PADDING)
    try:
        return json.loads(text, strict=False, parse_int=_integer)
    except RecursionError:
        raise NotJson("nested too deeply", "", 0) from None


def parsed(model: type[Model], body: bytes) -> Model:
    """`body` as a `model`.

    Raises:
        ValidationError: it is none; of type `json_invalid` where it is no JSON at all.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if not is_no_json(error):
            raise
        strict = error
    try:
        given = read_json(body)
    except NotJson:
        raise strict from None
    return model.model_validate(given)


def is_no_json(error: ValidationError) -> bool:
    """Whether the body was no JSON, rather than the wrong JSON."""
    return any(one["type"] == "json_invalid" for one in error.errors(include_url=False, include_input=False))


def sendable(value: Any) -> Any:
    """A read value as it can be written again: text storable, numbers finite (as text where they are not).

    Raises:
        RecursionError: it is nested too deeply.
    """
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): sendable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [sendable(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)
