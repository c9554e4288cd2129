"""Header `Towpath-As-Of`: up to which sequence an answer certainly shows the log.

A guarded GET answers with what this process had folded before it began; its route lowers that to the read
model's position where it reads the read model, and sets the position of a question about the past. The answer
may already show later events. A client that follows `GET /changes` knows by it which answer is the newer one.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import ApiParts
from domain.identifiers import LogSeq

AS_OF = "Towpath-As-Of"


def set_as_of(request: Request, seq: LogSeq) -> None:
    """Answer as of `seq`."""
    request.state.as_of = seq


async def read_model_as_of(request: Request, parts: ApiParts) -> None:
    """Answer as of the read model's position; to be called before it is read."""
    set_as_of(request, min(await parts.read_model.position(), request.state.as_of))


def say_as_of(request: Request, response: Response) -> None:
    """Set the header."""
    response.headers[AS_OF] = str(request.state.as_of)
