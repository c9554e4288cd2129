"""Filters of tasks in query parameters: those of the list, of counts, and of tasks for a bulk command."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.identifiers import (
    ID_PART_PATTERN,
    CheckedRunnerId,
    CheckedWorkspaceId,
    Name,
    TaskId,
)
from domain.ports.read_model import TaskFilter
from domain.protocol import Shown
from domain.task.transitions import Status
from domain.validation.timestamps import Moment

MOST_IDS = 200
_SHORTENED = "of `towpath lock`, eight of the digest's digits suffice"


def _label(value: str) -> str:
    name, colon, text = value.partition(":")
    if not colon or not name or "=" in name or "\x00" in value or len(name) > 200 or len(text) > 500:
        raise ValueError("write a label as name:value")
    return value


def _words(value: str) -> str:
    if not value.split():
        raise ValueError("write a word, or several")
    return value


LabelFilter = Annotated[
    str, AfterValidator(_label), Field(json_schema_extra={"pattern": r"^[^:=\x00]{1,200}:[^\x00]{0,500}$"})
]
IdFilter = Annotated[str, Field(pattern=ID_PART_PATTERN)]
TextFilter = Annotated[
    Shown, AfterValidator(_words), Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"})
]


class TasksWanted(BaseModel):
    """Filters of tasks; all given ones must hold. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")

    status: list[Status] = Field(default=[], max_length=16, description="repeatable: any of them")
    workspace: CheckedWorkspaceId | None = None
    pool: Name | None = Field(default=None, description=f"a pool's name; {_SHORTENED}")
    label: list[LabelFilter] = Field(
        default=[], max_length=8, description="`name:value`, repeatable: all of them"
    )
    runner: CheckedRunnerId | None = Field(
        default=None, description=f"the runner of the current attempt; {_SHORTENED}"
    )
    reason: Name | None = Field(default=None, description="why it did not succeed, such as `exit`")
    exit_code: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    lock: Literal["waiting", "held"] | None = Field(
        default=None, description="whether the current attempt waits for its lock or holds it"
    )
    min_attempt: int | None = Field(default=None, ge=0, lt=2**31, description="at least so many attempts")
    q: TextFilter | None = Field(
        default=None, description="words, each of which the title contains, in any case"
    )
    created_after: Moment | None = Field(default=None, description="RFC 3339 with an offset")
    created_before: Moment | None = None
    finished_after: Moment | None = None
    finished_before: Moment | None = None
    asking: bool | None = Field(
        default=None, description="whether a question of their job is open, also if its time is over"
    )
    on_request: bool | None = Field(
        default=None,
        description="whether its end was asked for: a cancel, Ctrl-C in the terminal of `towpath lock`, or "
        "`on_conflict` `reject`",
    )
    id: list[IdFilter] = Field(
        default=[],
        max_length=MOST_IDS,
        description="a task's id, repeatable: any of them; a single one may be its beginning or end",
    )

    def wanted(self) -> TaskFilter:
        """The filter for the read model."""
        labels = (one.partition(":") for one in self.label)
        return TaskFilter(
            status=tuple(status.value for status in self.status),
            workspace=self.workspace,
            pool=self.pool,
            labels=tuple(dict.fromkeys((name, value) for name, _, value in labels)),
            created_after=self.created_after,
            id_part=self.id[0] if len(self.id) == 1 else None,
            asking=self.asking,
            on_request=self.on_request,
            runner=self.runner,
            reason=self.reason,
            created_before=self.created_before,
            finished_after=self.finished_after,
            finished_before=self.finished_before,
            ids=tuple(TaskId(one) for one in self.id) if len(self.id) > 1 else (),
            words=tuple(dict.fromkeys((self.q or "").split())),
            exit_code=self.exit_code,
            lock=self.lock,
            min_attempt=self.min_attempt,
        )
