"""The one parser of JSON from other programs, for HTTP and NATS alike.

RFC 8259 wants UTF-8 without a byte order mark, yet programs send UTF-16, marks, bare control characters, NaN
and half surrogate pairs. What can be read in one way only is read. Of a name that comes twice the last value
counts, as in most languages. The rest (cut text, two values, a depth that exhausts the parser) is NotJson.
"""

from __future__ import annotations

import codecs
import json
import math
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from domain.validation.outside_text import storable

MOST_NAMES = 1_000
"""In one object. The largest that a contract knows has half as many."""
MOST_CONTAINERS = 20_000
"""Lists and objects in one body; a heartbeat with all it may hold has a quarter of that."""
LONGEST_INTEGER = 400
"""Digits. A longer one is read as a number with an exponent, which is infinite."""
_PADDING = "\ufeff\x00 \t\r\n"

_NO_TEXT = "towpath.no-text"
codecs.register_error(_NO_TEXT, lambda error: ("\udcff", cast(UnicodeDecodeError, error).end))

Model = TypeVar("Model", bound=BaseModel)
NotJson = json.JSONDecodeError
"""What `read_json` raises; a ValueError."""


def read_json(body: bytes) -> Any:
    """The value in `body`. Its text may hold lone surrogates and NUL, its numbers may be infinite or NaN.

    A byte that is no text becomes a lone surrogate: text for people is cleaned of it, and a command, path or
    variable is refused, since with another character it would be another one.

    Raises:
        NotJson: `body` holds no JSON value, or one that is nested too deeply.
    """
    text = body.decode(json.detect_encoding(body), _NO_TEXT).strip(_PADDING)
    try:
        return json.loads(text, strict=False, parse_int=_integer)
    except RecursionError:
        raise NotJson("nested too deeply", "", 0) from None


def read_bounded(body: bytes) -> Any:
    """The value in `body`, for a model that wants each name to be known.

    Raises:
        NotJson: also where it has parts by the ten thousand, which would hold up whatever else is served.
    """
    if body.count(b"[") + body.count(b"{") > MOST_CONTAINERS:
        bare = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
        if bare.count(b"[") + bare.count(b"{") > MOST_CONTAINERS:
            raise NotJson(f"more than {MOST_CONTAINERS} lists and objects", "", 0)
    value = read_json(body)
    _check_names(value)
    return value


def parsed(model: type[Model], body: bytes) -> Model:
    """`body` as a `model`.

    Raises:
        ValidationError: it is none; of type `json_invalid` where it is no JSON at all.
    """
    try:
        if _has_many_parts(body):
            return model.model_validate(read_bounded(body))
        return model.model_validate_json(body)
    except NotJson as error:
        invalid = PydanticCustomError("json_invalid", "{why}", {"why": error.msg})
        raise ValidationError.from_exception_data(model.__name__, [{"type": invalid, "input": ""}]) from None
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


def _has_many_parts(body: bytes) -> bool:
    """Whether names and brackets in `body`, those in its texts too, are so many that it is worth a look."""
    return body.count(b":") + body.count(b"[") + body.count(b"{") > MOST_NAMES


def _check_names(value: Any, depth: int = 3) -> None:
    """Refuse objects of very many names: each that is not expected would be an error of its own."""
    if isinstance(value, dict):
        if len(value) > MOST_NAMES:
            raise NotJson(f"an object of more than {MOST_NAMES} names", "", 0)
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value[:MOST_CONTAINERS]
    else:
        return
    if depth:
        for one in inner:
            if isinstance(one, dict | list):
                _check_names(one, depth - 1)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)
