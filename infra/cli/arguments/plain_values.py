"""Values of options without pydantic, which typer imports for each and which takes longer than most commands.

A value that is not obviously right goes to typer, whose result and whose error it gets. Another version of
typer may convert elsewhere: then all values go its way, only more slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, get_args, get_origin

LATER = object()
"""Typer has to convert the value."""


def convert_plainly(parameter: Any) -> None:
    """Let `parameter` of a typer command convert what it can by itself."""
    typers = getattr(parameter, "get_runtime_param", None)
    if typers is not None:
        plain = _Plain(typers, parameter)
        parameter.get_runtime_param = lambda: plain


class _Plain:
    """What typer's own object for a parameter does: `coerce`."""

    def __init__(self, typers: Callable[[], Any], parameter: Any) -> None:
        self._typers = typers
        described = parameter.type_descriptor
        self._info, annotation = described.parameter_info, described.annotation
        self._many = get_origin(annotation) is list
        self._type = get_args(annotation)[0] if self._many else annotation

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        found = self._converted(value, param.multiple or param.nargs == -1)
        return self._typers().coerce(value, param=param, ctx=ctx) if found is LATER else found

    def _converted(self, value: Any, is_multiple: bool) -> Any:
        if value is None:
            return () if is_multiple else None
        if not (is_multiple and self._many):
            return LATER if is_multiple or self._many else self._one(value)
        if not isinstance(value, list | tuple):
            return LATER
        items = [self._one(item) for item in value]
        return LATER if any(item is LATER for item in items) else items

    def _one(self, value: Any) -> Any:
        if self._info.parser is not None:
            return self._parsed(value)
        if self._type is str and isinstance(value, str):
            return value
        if self._type is int:
            return self._number(value)
        if isinstance(self._type, type) and issubclass(self._type, Enum):
            return next((one for one in self._type if value in (one, one.value)), LATER)
        return LATER

    def _parsed(self, value: Any) -> Any:
        try:
            return self._info.parser(value)
        except Exception:
            return LATER  # typer runs it again, and shows its error

    def _number(self, value: Any) -> Any:
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
            value = int(value)
        least, most = self._info.min, self._info.max
        if (
            type(value) is not int
            or (least is not None and value < least)
            or (most is not None and value > most)
        ):
            return LATER
        return value
