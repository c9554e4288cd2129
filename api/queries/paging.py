"""Paging of lists: `limit`, an opaque `cursor`, `next_cursor` and `Link: rel="next"`.

A cursor is only for this API; it is base64, which discourages clients from building one. Lists that the
process holds in memory anyway (workspaces, locks, runners) are split by their sort key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import Invalid
from domain.log.position import Position

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
T = TypeVar("T")

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="how many items at most")]
Cursor = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_=-]{1,500}$"),
    Field(description="`next_cursor` of the answer before"),
    WithJsonSchema({"type": "string", "format": "cursor", "maxLength": 500}),
]


class PageQuery(BaseModel):
    """What every list takes. Unknown parameters are refused: a mistyped filter must not list everything."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class Page(BaseModel, Generic[T]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(text: str) -> str:
    """An opaque cursor that encodes `text`."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The text of a cursor.

    Raises:
        Invalid: not a cursor of this API.
    """
    try:
        padded = cursor.rstrip("=") + "=" * (-len(cursor.rstrip("=")) % 4)
        return base64.urlsafe_b64decode(padded.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise bad_cursor() from error


def cursor_seq(cursor: str) -> int:
    """The sequence in a cursor.

    Raises:
        Invalid: not a cursor of a list that is ordered by sequence.
    """
    text = decode_cursor(cursor)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise bad_cursor()
    return int(text)


def cursor_position(cursor: str) -> Position:
    """The position in a cursor; `check_position` checks that it is of this log.

    Raises:
        Invalid: not a cursor of a list of events.
    """
    try:
        return Position.parse(decode_cursor(cursor))
    except ValueError:
        raise bad_cursor() from None


def bad_cursor() -> Invalid:
    """The error for a cursor that this list never returned."""
    return Invalid("bad-cursor", "use `next_cursor` of this list's answer as it is, or leave `cursor` out")


def cut(items: Sequence[T], key: Callable[[T], str], query: PageQuery) -> tuple[list[T], str | None]:
    """One page of `items`, which are sorted by `key`, and the next page's cursor."""
    after = decode_cursor(query.cursor) if query.cursor else ""
    left = [item for item in items if key(item) > after]
    page = left[: query.limit]
    more = len(left) > len(page)
    return page, encode_cursor(key(page[-1])) if more else None


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Set `Link: rel="next"`: this request's URL with the next page's cursor."""
    if cursor is None:
        return
    url = request.url.include_query_params(cursor=cursor)
    if "before_seq" not in request.query_params:  # else `after_seq` still bounds the pages to come
        url = url.remove_query_params("after_seq")
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
