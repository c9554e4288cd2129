"""Parses a runner's report, leniently where possible, so that no end is lost because of bad text.

`Report` is the contract for runners. Errors in fields that only people read (`message`, `output_tail`,
`reason`, times, `pid`, `exit_code`) are repaired: text is cut and cleaned, an unreadable number or time is
left out, and the message notes that. The fields that decide (`status`, `attempt`, `runner_id`) are never
guessed: if one is wrong, the report is refused with an error that names the field.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.protocol import FAILED_REASONS, MESSAGE_CHARS, REASON_CHARS, Ask, ExitCode, Pid, Report
from domain.validation.json_reader import NotJson, read_json, sendable
from domain.validation.outside_text import shortened, storable
from domain.validation.timestamps import ClockTime

_ASKED = b'"asked"'
LEFT_OUT = "left out, as it could not be read"
_SIGNED_32, _UNSIGNED_32 = 2**31, 2**32
_READERS: dict[str, TypeAdapter[Any]] = {
    "exit_code": TypeAdapter(ExitCode),
    "pid": TypeAdapter(Pid),
    "started_at": TypeAdapter(ClockTime),
    "finished_at": TypeAdapter(ClockTime),
}


def read_said(body: bytes) -> Report | Ask:
    """The report or the question in `body`. Raises as `read_report` does."""
    if _ASKED in body:
        with contextlib.suppress(NotJson):
            given = read_json(body)
            if isinstance(given, dict) and given.get("status") == "asked":
                return Ask.model_validate(given)
    return read_report(body)


def read_report(body: bytes) -> Report:
    """The report in `body`.

    Raises:
        ValidationError: it is no report; of type `json_invalid` if it is no JSON.
    """
    try:
        return Report.model_validate_json(body)
    except ValidationError as error:
        strict = error
    try:
        given = read_json(body)
    except NotJson:
        raise strict from None
    if not isinstance(given, dict):
        raise strict
    return Report.model_validate(mended(given))


def mended(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a report, repaired to fit the contract where possible."""
    said = {name: given[name] for name in Report.model_fields if given.get(name) is not None}
    dropped: list[str] = []
    said["attempt"] = _whole(said.get("attempt"))
    for name, reader in _READERS.items():
        if name in said and (value := _read(reader.validate_python, _number(name, said[name]))) is None:
            dropped.append(name)
            del said[name]
        elif name in said:
            said[name] = value
    for name in ("message", "output_tail", "reason"):
        if name in said:
            said[name] = _text(said[name])
    if said.get("status") == "failed" and said.get("reason", FAILED_REASONS[0]) not in FAILED_REASONS:
        dropped.append(f"reason {said.pop('reason')[:REASON_CHARS]}")
    if "reason" in said:
        said["reason"] = shortened(said["reason"], REASON_CHARS)
    note = f"[{LEFT_OUT}: {', '.join(dropped)}]" if dropped else ""
    if "message" in said or note:
        said["message"] = _with_note(said.get("message", ""), note)
    return said


def _with_note(message: str, note: str) -> str:
    note = shortened(note, MESSAGE_CHARS // 2)
    if not note:
        return shortened(message, MESSAGE_CHARS)
    room = MESSAGE_CHARS - len(note) - 1
    return f"{shortened(message, room)} {note}" if message else note


def _text(value: Any) -> str:
    """Text as it is; anything else as JSON."""
    if isinstance(value, str):
        return storable(value)
    try:
        return json.dumps(sendable(value), ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply)"


def _number(name: str, value: Any) -> Any:
    """Convert a whole number written as text, and an exit code reported as unsigned."""
    value = _whole(value)
    if name == "exit_code" and isinstance(value, int) and _SIGNED_32 <= value < _UNSIGNED_32:
        return value - _UNSIGNED_32
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        digits = value.strip()
        if len(digits) <= 11 and digits.removeprefix("-").isascii() and digits.removeprefix("-").isdigit():
            return int(digits)
    return value


def _read(reader: Callable[[Any], Any], value: Any) -> Any:
    """The result of `reader`; None if it rejects `value`."""
    try:
        return reader(value)
    except (ValidationError, OverflowError):
        return None
