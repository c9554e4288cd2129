"""Identifiers: which text may be an id, since each id becomes a token of a NATS subject.

In a subject (`towpath.task.<task_id>.<event>`) a dot, a star or a space inside an id would change what the
subject means. Every id is therefore checked on input against one of two patterns: name or task id.
Each kind of id has a type of its own, so the type checker refuses one in place of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, NewType, cast

from pydantic import AfterValidator, Field

TaskId = NewType("TaskId", str)
WorkspaceId = NewType("WorkspaceId", str)
RunnerId = NewType("RunnerId", str)
LogSeq = NewType("LogSeq", int)
"""A sequence of the log's stream: an event's global position."""
read_log_seq: Callable[[str | bytes], LogSeq] = cast(Any, int)
"""Reads a sequence from digits. It is `int` itself: every event passes here, and `LogSeq(…)` costs a call."""
LOG_START = LogSeq(0)
"""Before the first event."""
FencingToken = NewType("FencingToken", int)
"""The `LogSeq` of a grant, as runners and their commands get it; 0 where an attempt needs no lock."""

ID_PART_PATTERN = r"^[0-9a-f-]{4,36}$"
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
TASK_ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
EVENT_ID_PATTERN = TASK_ID_PATTERN.replace("[1-8]", "7")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TASK_ID = re.compile(TASK_ID_PATTERN.strip("^$"))


def check_name(value: str, what: str = "id") -> str:
    """Return `value` if it may name a workspace, pool or runner; else ValueError."""
    if not _NAME.fullmatch(value):
        raise ValueError(f"a {what} is 1 to 64 of the characters A-Z a-z 0-9 _ -")
    return value


def check_task_id(value: str) -> TaskId:
    """Return `value` if it is a UUID of RFC 9562 in canonical lower-case form; else ValueError.

    Versions 1 to 8, so not the nil and the max UUID, which name nothing.
    """
    if not _TASK_ID.fullmatch(value):
        raise ValueError(
            "a task id is a UUID of RFC 9562 in canonical form (8-4-4-4-12 lower-case hex digits), and "
            "neither nil nor max"
        )
    return TaskId(value)


CheckedTaskId = Annotated[
    TaskId,
    AfterValidator(check_task_id),
    Field(
        examples=["0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"],
        json_schema_extra={"format": "uuid", "pattern": TASK_ID_PATTERN},
    ),
]
_NAME_SHAPE = Field(pattern=NAME_PATTERN, examples=["acme-api"])
Name = Annotated[str, _NAME_SHAPE]
CheckedWorkspaceId = Annotated[WorkspaceId, _NAME_SHAPE]
CheckedRunnerId = Annotated[RunnerId, _NAME_SHAPE]
