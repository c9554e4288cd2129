"""The attempts of a task, earlier ones too, folded from the log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.auth import GuardedRoute, Parts, needs
from api.config import Role
from api.queries.event_pages import EventPages
from api.queries.paging import Page, PageQuery, cursor_seq, encode_cursor, link_next
from api.schema.openapi import problems
from domain.identifiers import CheckedTaskId, LogSeq
from domain.task.attempt_history import AttemptRead, attempts

router = APIRouter(route_class=GuardedRoute, tags=["tasks"])


@router.get(
    "/tasks/{task_id}/attempts",
    response_model=Page[AttemptRead],
    openapi_extra=needs(Role.VIEWER),
    responses=problems(404, 503),
)
async def list_attempts(
    task_id: CheckedTaskId,
    request: Request,
    response: Response,
    parts: Parts,
    query: Annotated[PageQuery, Query()],
) -> Any:
    """All attempts of a task in their order, with the time and the sequence of each step."""
    pages: EventPages = request.app.state.event_pages
    after = LogSeq(cursor_seq(query.cursor) if query.cursor else 0)
    events, following = await pages.of_attempts(task_id, after, query.limit)
    cursor = encode_cursor(str(following)) if following is not None else None
    link_next(request, response, cursor)
    return Page[AttemptRead](items=attempts(events), next_cursor=cursor)
