"""The one parser of JSON from other programs, for HTTP and NATS alike.

RFC 8259 requires UTF-8 without a byte order mark, yet programs send UTF-16, byte order marks, bare control
characters, NaN and lone surrogates. Input with a single possible reading is accepted. For a repeated name the
last value counts, as in most languages. All other input (cut text, two values, a depth that exhausts the
parser) raises NotJson.
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
"""Names in one object. The largest object in a contract has half as many."""
MOST_CONTAINERS = 20_000
"""Lists and objects in one body; the largest valid heartbeat has a quarter as many."""
LONGEST_INTEGER = 400
"""Digits. A longer integer is read as a float, which is infinite."""
_PADDING = "\ufeff\x00 \t\r\n"

_NO_TEXT = "towpath.no-text"
codecs.register_error(_NO_TEXT, lambda error: ("\udcff", cast(UnicodeDecodeError, error).end))

Model = TypeVar("Model", bound=BaseModel)
NotJson = json.JSONDecodeError
"""The error of `read_json`; a ValueError."""


def read_json(body: bytes) -> Any:
    """The JSON value in `body`. Text may hold lone surrogates and NUL; numbers may be infinite or NaN.

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
    """The JSON value in `body`, bounded in parts, for a model that refuses unknown names.

    Raises:
        NotJson: as `read_json`; also for so many parts that validation would block the event loop.
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
        ValidationError: it does not fit the model; of type `json_invalid` if it is no JSON.
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
    """Whether validation failed because the body is no JSON, rather than the wrong JSON."""
    return any(one["type"] == "json_invalid" for one in error.errors(include_url=False, include_input=False))


def sendable(value: Any) -> Any:
    """A copy of a read value that can be written as JSON: storable text, infinite numbers and NaN as text.

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
    """Whether `body` has so many colons and brackets, those in texts included, that it must be checked."""
    return body.count(b":") + body.count(b"[") + body.count(b"{") > MOST_NAMES


def _check_names(value: Any, depth: int = 3) -> None:
    """Refuse objects with very many names: pydantic would report one error for each unknown name."""
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
