"""Parses the API's responses; an invalid one becomes an error message."""

from __future__ import annotations

import json
from typing import Any

from infra.errors.cli_error import CliError

_NOT_OURS = "is it Towpath, and of this version? `towpath version` shows both"


class Answer(dict[str, Any]):
    """A JSON object; access to a missing member raises CliError."""

    def __missing__(self, name: str) -> Any:
        raise CliError(f"the API's answer has no {name!r}: {_NOT_OURS}")


def parsed(content: bytes) -> Any:
    """The JSON of `content` with its objects as Answer; None if it is not JSON."""
    try:
        return json.loads(content, object_hook=Answer) if content else None
    except (ValueError, RecursionError):
        return None


def list_of(answer: Answer, name: str) -> list[Answer]:
    """The list of objects in the member `name` of `answer`."""
    found = answer[name]
    if not isinstance(found, list) or not all(isinstance(one, Answer) for one in found):
        raise CliError(f"the API's answer has no list of objects in {name!r}: {_NOT_OURS}")
    return found


class Circle:
    """Notices pages that go round in a circle, by one cursor that is kept ever longer (Brent's algorithm)."""

    def __init__(self) -> None:
        self._kept: Any = None
        self._pages, self._most = 0, 1

    def check(self, cursor: Any) -> None:
        """Raises CliError if `cursor` (None: of the first page) was seen before; within a few rounds."""
        if cursor is None:
            return
        if cursor == self._kept:
            raise CliError(f"the pages of the API's list come again: {_NOT_OURS}")
        self._pages += 1
        if self._pages == self._most:
            self._kept, self._pages, self._most = cursor, 0, 2 * self._most
