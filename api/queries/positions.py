"""Positions in query parameters: a sequence or a time.

A time means the last event stored by then, by the broker's clock. `ce-time`, when the control plane decided,
differs by milliseconds; unlike that, the broker's time never goes backwards.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from api.dependencies import ApiParts
from domain.errors import Busy, NotFound
from domain.identifiers import LogSeq
from domain.validation.timestamps import Moment

MAX_SEQ = 2**63 - 1
CLOCKS_DIFFER = timedelta(seconds=5)


def _one_reason(value: Any, either: ValidatorFunctionWrapHandler) -> Any:
    """Report one error for both alternatives, not one for each."""
    try:
        return either(value)
    except ValidationError:
        raise ValueError(
            "write a sequence, 0 or a whole number above it, or a time as RFC 3339 with an offset, "
            "e.g. 2026-03-01T12:00:00Z"
        ) from None


Point = Annotated[
    Annotated[LogSeq, Field(ge=0, le=MAX_SEQ)] | Moment,
    Field(union_mode="left_to_right", description="a stream sequence, or an RFC 3339 time with an offset"),
    WrapValidator(_one_reason),
]


async def position_at(parts: ApiParts, at: LogSeq | datetime) -> LogSeq:
    """The sequence of `at`.

    Raises:
        NotFound: it lies after the log's end, or in the future.
    """
    if isinstance(at, datetime) and at > parts.clock() + CLOCKS_DIFFER:
        raise NotFound("beyond-the-log", "that time has not come yet; leave `at` out to see what is now")
    return await parts.past.position(at)


async def check_read_model(parts: ApiParts, seq: LogSeq) -> None:
    """Raise Busy while the read model has not come as far as `seq`."""
    if seq > await parts.read_model.position():
        raise Busy("busy", f"the read model has not come to sequence {seq} yet; send the request again")
