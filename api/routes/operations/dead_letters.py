"""Dead letters: list, show, replay, drop.

Bodies are shown without secrets, and only if they are JSON. A replay returns the result of processing the
message again; if it is rejected again, it stays. `GET /dead/settled` has replays and drops with their actors.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Actor, GuardedRoute, Parts, needs
from api.config import Role
from api.dependencies import ApiParts
from api.queries.audit_pages import audit_page
from api.queries.paging import Page, PageQuery, cursor_position, encode_cursor, link_next
from api.queries.positions import MAX_SEQ
from api.schema.openapi import problems
from domain.errors import NotFound
from domain.identifiers import Name
from domain.log.position import BEYOND, OTHER_LOG, Position
from domain.protocol import Shown
from domain.services.dead_letters import DeadLetter, Outcome

router = APIRouter(route_class=GuardedRoute, tags=["dead letters"])
_RESTORED = "what is here comes from an older backup, or the cursor from elsewhere; list them from the start"
Seq = Annotated[int, Path(ge=1, le=MAX_SEQ, description="its sequence among the dead letters", examples=[1])]


class DeadLetterRead(BaseModel):
    """One dead letter. `subject` names its task or pool; `size` is that of its body, in bytes."""

    seq: int
    at: datetime
    kind: str
    subject: str
    reason: str
    detail: str
    size: int
    source: str | None = Field(description="the NATS subject it came from, where that is known")


class DeadLetterShown(DeadLetterRead):
    """A dead letter with its body: without secrets, null if it is not JSON."""

    body: Any


class Replayed(DeadLetterRead):
    """A replayed and removed dead letter; `outcome` is the result of its replay."""

    outcome: Outcome


class Settled(BaseModel):
    """What became of a dead letter: who replayed or dropped it, and when.

    `outcome` is the result of a replay, `note` the reason of a drop. Its other fields are the letter's.
    """

    number: int
    at: datetime
    by: str
    action: Literal["replayed", "dropped"]
    outcome: Outcome | None = None
    note: str | None = None
    seq: int
    kept_at: datetime
    kind: str
    subject: str
    reason: str
    detail: str
    size: int


class Dropped(BaseModel):
    """How many letters of one kind and reason were dropped, because only some alike are kept."""

    kind: str
    reason: str
    count: int


class DeadLetterPage(Page[DeadLetterRead]):
    """`dropped`: letters that this process has dropped since its start, to keep room for other kinds."""

    total: int = Field(description="how many there are on all pages, of the kind that was asked for")
    dropped: list[Dropped]


class DeadQuery(PageQuery):
    """Query of `GET /dead`."""

    kind: Name | None = None


class DropQuery(BaseModel):
    """Query of `DELETE /dead/{seq}`."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Shown, Field(min_length=1, max_length=500)]


@router.get(
    "/dead",
    response_model=DeadLetterPage,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(404, 503),
)
async def dead_letters(
    request: Request, response: Response, parts: Parts, query: Annotated[DeadQuery, Query()]
) -> Any:
    """All dead letters, oldest first; they are kept for 14 days."""
    after = await _checked(parts, cursor_position(query.cursor)) if query.cursor else 0
    found = await parts.dead_letters.page(after, query.limit + 1, query.kind)
    page = found[: query.limit]
    cursor = encode_cursor(str(_position(page[-1]))) if len(found) > len(page) else None
    link_next(request, response, cursor)
    return DeadLetterPage(
        items=[DeadLetterRead(**_fields(one)) for one in page],
        next_cursor=cursor,
        total=await parts.dead_letters.count(query.kind),
        dropped=[
            Dropped(kind=kind, reason=reason, count=count)
            for (kind, reason), count in sorted(parts.dead_letters.dropped.items())
        ],
    )


def _position(letter: DeadLetter) -> Position:
    """The position at a page's end; the time of storing distinguishes letters with the same number."""
    return Position(letter.seq, str(int(letter.at.timestamp() * 1e6)))


async def _checked(parts: ApiParts, position: Position) -> int:
    """The sequence after which a page continues. NotFound if that letter was never stored here."""
    there = await parts.dead_letters.get(position.seq)
    if there is not None and position not in (_position(there), Position(there.seq)):
        raise NotFound(OTHER_LOG, f"another dead letter has the number {position.seq}: {_RESTORED}")
    if there is None and position.seq > (last := await parts.dead_letters.last_seq()):
        raise NotFound(BEYOND, f"the last dead letter is {last}: {_RESTORED}", {"last_seq": last})
    return position.seq


@router.get(
    "/dead/settled",
    response_model=Page[Settled],
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(503),
)
async def settled(
    request: Request, response: Response, parts: Parts, query: Annotated[PageQuery, Query()]
) -> Any:
    """Dead letters that were replayed or dropped by hand, newest first; the newest 1000 are kept."""
    return await audit_page(request, response, parts, query, "dead-letter", Settled)


@router.get(
    "/dead/{seq}",
    response_model=DeadLetterShown,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(404, 503),
)
async def dead_letter(seq: Seq, parts: Parts) -> Any:
    """One dead letter with its body, without secrets."""
    letter = await parts.dead_letter_service.get(seq)
    return DeadLetterShown(**_fields(letter), body=letter.shown_body)


@router.post(
    "/dead/{seq}/replay",
    response_model=Replayed,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(404, 409, 503, 507),
)
async def replay(seq: Seq, parts: Parts, actor: Actor) -> Any:
    """Process the message again; 409 with the reason if it is rejected again, and it stays."""
    letter, outcome = await parts.dead_letter_service.replay(seq, actor)
    return Replayed(**_fields(letter), outcome=outcome)


@router.delete(
    "/dead/{seq}",
    response_model=DeadLetterRead,
    openapi_extra=needs(Role.ADMIN),
    responses=problems(404, 503),
)
async def drop(seq: Seq, parts: Parts, actor: Actor, query: Annotated[DropQuery, Query()]) -> Any:
    """Remove the letter for good; returns it without its body."""
    letter = await parts.dead_letter_service.drop(seq, actor, query.reason)
    return DeadLetterRead(**_fields(letter))


def _fields(letter: DeadLetter) -> dict[str, Any]:
    return {
        "seq": letter.seq,
        "at": letter.at,
        "kind": letter.kind,
        "subject": letter.subject_id,
        "reason": letter.reason,
        "detail": letter.detail,
        "size": len(letter.body),
        "source": letter.source,
    }
