"""Pages of audit records: what a kind's records hold, with number, time and actor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import ApiParts
from api.queries.paging import Page, PageQuery, cursor_seq, encode_cursor, link_next
from domain.evidence.audit_record import AuditKind, AuditRecord

T = TypeVar("T", bound=BaseModel)


async def audit_page(
    request: Request, response: Response, parts: ApiParts, query: PageQuery, kind: AuditKind, shown: type[T]
) -> Page[T]:
    """The records of `kind` as `shown`, newest first, without those that another program has put there."""
    before = cursor_seq(query.cursor) if query.cursor else None
    found = await parts.audit_records.newest(kind, query.limit + 1, before)
    page = found[: query.limit]
    cursor = encode_cursor(str(page[-1].number)) if len(found) > len(page) else None
    link_next(request, response, cursor)
    return Page(items=list(_shown(page, shown)), next_cursor=cursor)


def _shown(records: Iterable[AuditRecord], as_type: type[T]) -> Iterator[T]:
    for one in records:
        with suppress(ValidationError):
            yield show(one, as_type)


def show(record: AuditRecord, as_type: type[T]) -> T:
    """The record as `as_type`."""
    what = record.what
    return as_type.model_validate({**what.data, "number": record.number, "at": what.at, "by": what.by})
