"""One command on many tasks: each is decided alone, and answered alone.

An item names the attempt that the caller saw, so a request that is sent again, or late, never acts on a newer
attempt. There is no transaction around the items: what is recorded stays, also if the client goes away.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.routes.tasks.commands import AttemptSeen, CancelReason
from api.schema.openapi import problems
from domain.errors import DomainError
from domain.identifiers import CheckedTaskId, TaskId

MOST_ITEMS = 100
AT_ONCE = 8
"""Items that one request works on at the same time."""

router = APIRouter(route_class=GuardedRoute, tags=["tasks"])


class BulkItem(BaseModel):
    """A task, and the attempt of it that is meant."""

    model_config = ConfigDict(extra="forbid")

    id: CheckedTaskId
    attempt: AttemptSeen


def _once(items: list[BulkItem]) -> list[BulkItem]:
    if len({one.id for one in items}) < len(items):
        raise ValueError("name each task once")
    return items


class BulkBody(BaseModel):
    """What is done to which tasks; `reason` is recorded where they are canceled."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["cancel", "dispatch"]
    items: Annotated[list[BulkItem], AfterValidator(_once), Field(min_length=1, max_length=MOST_ITEMS)]
    reason: CancelReason | None = None


class BulkResult(BaseModel):
    """What became of one item: an event was recorded, nothing had to be, or a problem with its code."""

    id: TaskId
    attempt: int
    outcome: Literal["recorded", "unchanged", "refused"]
    code: str | None = None
    detail: str | None = None


class BulkResults(BaseModel):
    """One result for each item, in the same order."""

    items: list[BulkResult]


@router.post(
    "/tasks/bulk",
    response_model=BulkResults,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(400, 413, 415, 503),
)
async def bulk(body: BulkBody, parts: Parts, actor: Actor) -> Any:
    """Cancel or dispatch up to 100 tasks. A lock that a dispatch gets or not is decided after the answer."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: BulkItem) -> BulkResult:
        async with slots:
            return await _result(parts, body, item, actor)

    return BulkResults(items=await asyncio.gather(*map(one, body.items)))


async def _result(parts: ApiParts, body: BulkBody, item: BulkItem, actor: str) -> BulkResult:
    commands = parts.commands
    try:
        if body.action == "cancel":
            stored = await commands.cancel(item.id, body.reason, actor, attempt=item.attempt)
        else:
            stored = await commands.dispatch(item.id, actor, attempt=item.attempt)
    except DomainError as error:
        return BulkResult(
            id=item.id, attempt=item.attempt, outcome="refused", code=error.code, detail=error.detail
        )
    except Exception as error:  # a fault with one task does not hide what was recorded about the others
        structlog.get_logger("towpath.api").error("bulk item failed", task=item.id, error=repr(error))
        fault = "this is a fault of the server, recorded in its log; look at the task"
        return BulkResult(
            id=item.id, attempt=item.attempt, outcome="refused", code="internal-error", detail=fault
        )
    outcome: Literal["recorded", "unchanged"] = "recorded" if stored.recorded else "unchanged"
    return BulkResult(id=item.id, attempt=item.attempt, outcome=outcome)
