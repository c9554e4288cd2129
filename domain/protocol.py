"""The wire protocol between runners and control plane: submission, report, heartbeat.

These models are the published contract: programs in any language are written against them, over
HTTP and over NATS alike. They bound every size, so that a report always fits into one event.
"""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from domain.identifiers import CheckedRunnerId, CheckedTaskId, CheckedWorkspaceId, FencingToken, Name, TaskId
from domain.validation.outside_text import cleaned, refuse_unstorable, shortened, storable
from domain.validation.timestamps import ClockTime

ExecutionMode = Literal["no-workspace", "shared-workspace"]
LockMode = Literal["exclusive", "shared"]
RunnerState = Literal["alive", "suspected", "lost"]
ReportedStatus = Literal["queued", "running", "succeeded", "failed", "canceled"]
FailedReason = Literal["exit", "timeout", "runner-lost", "killed", "error"]

CONTRACT_VERSION = "1"
"""Version of events, reports, submissions and routes; it rises with a change that breaks older programs."""

FAILED_REASONS: tuple[FailedReason, ...] = get_args(FailedReason)
OUTPUT_TAIL_BYTES = 8192
MESSAGE_CHARS = 2000
REASON_CHARS = 200
HOST_CHARS = 255
CHOICE_CHARS = 64
MAX_CHOICES = 8
MAX_EXPIRES_SECONDS = 30 * 24 * 3600.0
MAX_HELD = 5_000  # a heartbeat with this many attempts still fits into the API's body limit
MAX_COUNTER = 2**53 - 1  # the largest integer that a JSON number holds exactly in every language
RUNNER_AUTH_HEADER = "X-Runner-Token"
JOB_TOKEN_HEADER = "Towpath-Job-Token"  # noqa: S105 - a header
"""On the answer to `running` of a runner with a key of its own, which gets no submission: its job's token."""


def _keep_tail(value: str) -> str:
    """The last OUTPUT_TAIL_BYTES of `value`, cut between characters."""
    return value.encode("utf-8")[-OUTPUT_TAIL_BYTES:].decode("utf-8", "ignore")


def _number(value: Any) -> Any:
    """Reject true and "3", which pydantic would take for whole numbers; 3.0 is one in JSON."""
    if isinstance(value, bool | str):
        raise ValueError("write a whole number")
    return value


def _host(value: Any) -> Any:
    """Cut a long host name instead of rejecting the heartbeat: only people read it."""
    return shortened(storable(value), HOST_CHARS) if isinstance(value, str) else value


def _alias(value: Any) -> Any:
    return "succeeded" if value == "success" else value


Shown = Annotated[str, BeforeValidator(cleaned)]
"""Text for people: characters that cannot be stored are replaced."""
Exact = Annotated[str, AfterValidator(refuse_unstorable)]
"""Text that a computer acts on: it is refused if it holds characters that cannot be stored."""
OutputTail = Annotated[Shown, AfterValidator(_keep_tail)]
WHOLE = BeforeValidator(_number)
"""Refuses what Python takes for a whole number and JSON does not: `true`, `"1"`."""
AttemptNumber = Annotated[int, Field(ge=1, lt=2**31), WHOLE]
ExitCode = Annotated[int, Field(ge=-(2**31), lt=2**31), WHOLE]
Pid = Annotated[int, Field(ge=0, lt=2**31), WHOLE]


class Wire(BaseModel):
    """Base of all messages. Unknown fields are ignored, since a newer program may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SubmittedWorkspace(Wire):
    """The workspace of an attempt; `lock_token` is the fencing token, the stream sequence of its grant."""

    id: CheckedWorkspaceId
    root: str
    lock_paths: list[str]
    lock_mode: LockMode
    lock_token: FencingToken = Field(ge=0, lt=2**63)


class Submission(Wire):
    """One attempt on its way to a runner: by POST `<runner>/tasks/submit` or on `towpath.submit.<pool>`."""

    task_id: CheckedTaskId
    attempt: int = Field(ge=1, lt=2**31)
    title: Shown
    command: list[Exact] = Field(min_length=1)
    env: dict[Exact, Exact] = Field(default_factory=dict)
    secret_names: list[Exact] = Field(
        default_factory=list,
        description="Names in `env` whose values are secret: mask them in what leaves the host.",
    )
    timeout_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    timeout_pauses: bool = Field(
        default=False,
        exclude_if=operator.not_,
        description="The timeout does not run while a question of the attempt is open.",
    )
    execution_mode: ExecutionMode
    workspace: SubmittedWorkspace | None = None
    status_callback_url: str | None = None
    status_callback_token: str | None = None
    api_url: str | None = Field(
        default=None, description="Where the job reaches the API, if that is known: give it as `TOWPATH_URL`."
    )
    job_token: str | None = Field(
        default=None,
        description="Lets the job ask questions and read its task: give it as `TOWPATH_JOB_TOKEN`, mask it.",
    )

    @property
    def declared_secrets(self) -> list[str]:
        """Values that the task declares as secret."""
        return [self.env[name] for name in self.secret_names if name in self.env]

    @property
    def secret_values(self) -> list[str]:
        """Values that must be masked in this attempt's output: declared secrets and the attempt's tokens."""
        tokens = (self.status_callback_token, self.job_token)
        return [*self.declared_secrets, *(one for one in tokens if one)]

    def without_secrets(self) -> Submission:
        """A copy without environment and tokens, for keeping after the attempt has ended."""
        gone: dict[str, Any] = {
            "env": {},
            "secret_names": [],
            "status_callback_token": None,
            "job_token": None,
        }
        return self.model_copy(update=gone)


class Accepted(Wire):
    """A runner's 202 answer to a submission. `runner_id` is optional."""

    task_id: CheckedTaskId
    attempt: int
    status: Literal["queued"] = "queued"
    runner_id: CheckedRunnerId | None = None
    instance: Name | None = None


def _failed_has_a_known_reason(schema: dict[str, Any]) -> None:
    schema["if"] = {"properties": {"status": {"const": "failed"}}, "required": ["status"]}
    schema["then"] = {"properties": {"reason": {"enum": [*FAILED_REASONS, None]}}}


class Report(Wire):
    """A runner's report on an attempt: the callback's body, and the body of `towpath.report.<task_id>`.

    Only `status` is required. Times are RFC 3339 with an offset, stored in UTC. `output_tail` keeps its
    last 8 KiB. Numbers fit into 32 bits, which every store may rely on.
    """

    model_config = ConfigDict(json_schema_extra=_failed_has_a_known_reason)

    status: Annotated[
        ReportedStatus,
        BeforeValidator(_alias),
        Field(
            json_schema_extra={"enum": [*get_args(ReportedStatus), "success"]},
            description="`success` means `succeeded`",
        ),
    ]
    attempt: AttemptNumber | None = None
    runner_id: CheckedRunnerId | None = None
    instance: Name | None = Field(
        default=None,
        description="As in the runner's heartbeats: it tells two runners with one id apart.",
    )
    message: Annotated[Shown, Field(max_length=MESSAGE_CHARS)] | None = None
    exit_code: ExitCode | None = None
    reason: Annotated[Shown, Field(max_length=REASON_CHARS)] | None = None
    started_at: ClockTime | None = None
    finished_at: ClockTime | None = None
    pid: Pid | None = None
    output_tail: OutputTail | None = None

    @model_validator(mode="after")
    def _known_reason(self) -> Report:
        if self.status == "failed" and self.reason is not None and self.reason not in FAILED_REASONS:
            raise ValueError(f"the reason of `failed` is one of {', '.join(FAILED_REASONS)}")
        return self

    @property
    def bare(self) -> Report:
        """A copy without the text for people; the fields that decide, and the numbers, remain."""
        text: dict[str, None] = {"message": None, "output_tail": None}
        if self.status != "failed":
            text["reason"] = None
        return self.model_copy(update=text)

    @property
    def failed_reason(self) -> FailedReason:
        """The reason of a `failed` report; without one, `exit` if it has an exit code, else `error`."""
        given = next((known for known in FAILED_REASONS if known == self.reason), None)
        return given or ("exit" if self.exit_code is not None else "error")


_BLANK = re.compile(r"[\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*")
"""What `\\s` means in a JSON Schema; Python's `strip` takes more."""


def _worded(value: str) -> str:
    if _BLANK.fullmatch(value):
        raise ValueError("write some words")
    return value.strip(" \t\r\n")


_WORDED: dict[str, Any] = {"min_length": 1, "json_schema_extra": {"pattern": r"\S"}}
Choice = Annotated[Shown, AfterValidator(_worded), Field(max_length=CHOICE_CHARS, **_WORDED)]
QuestionText = Annotated[Shown, AfterValidator(_worded), Field(max_length=MESSAGE_CHARS, **_WORDED)]
"""Also of an answer in words."""


def _can_be_answered(schema: dict[str, Any]) -> None:
    """What `AskBody` checks, as a schema can say it; that a `default` is one of the choices, none can."""
    nothing, number, text = ({"type": kind} for kind in ("null", "number", "string"))
    offers = {"choices": {"type": "array"}}, {"free_text": {"const": True}}
    times = (
        {"default": nothing, "expires_at": nothing},
        {"default": nothing, "expires_seconds": nothing},
        {"expires_seconds": number, "expires_at": nothing},
        {"expires_at": text, "expires_seconds": nothing},
    )
    schema["examples"] = [{"text": "Deploy to production?", "choices": ["yes", "no"]}]
    schema["anyOf"] = [
        {
            "required": [*offer, *(name for name, kind in time.items() if kind is not nothing)],
            "properties": {**offer, **time},
        }
        for offer in offers
        for time in times
    ]


class AskBody(Wire):
    """Body of `POST /runner/tasks/{task_id}/questions`: a running job asks a person.

    It offers `choices`, takes a text (`free_text`), or both. It expires at `expires_at`, or
    `expires_seconds` after it was recorded: `default` is its answer then; without one it stays open, and
    the job decides.
    """

    model_config = ConfigDict(json_schema_extra=_can_be_answered)

    attempt: AttemptNumber | None = None
    runner_id: CheckedRunnerId | None = None
    instance: Name | None = None
    question_id: Name | None = Field(
        default=None,
        description="Chosen by who asks: the same question may be sent again. Default: made by the API.",
    )
    text: QuestionText
    choices: list[Choice] | None = Field(
        default=None, min_length=1, max_length=MAX_CHOICES, json_schema_extra={"uniqueItems": True}
    )
    free_text: StrictBool = False
    expires_at: ClockTime | None = None
    expires_seconds: Annotated[float, Field(gt=0, le=MAX_EXPIRES_SECONDS, allow_inf_nan=False)] | None = None
    default: QuestionText | None = None

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        choices = self.choices or []
        if not choices and not self.free_text:
            raise ValueError("offer `choices`, or set `free_text`: else it cannot be answered")
        if len(set(choices)) < len(choices):
            raise ValueError("`choices` are all different")
        if self.expires_at is not None and self.expires_seconds is not None:
            raise ValueError("`expires_at` or `expires_seconds`, not both")
        if self.default is None:
            return self
        if not self.free_text and self.default not in choices:
            raise ValueError("`default` is one of `choices`, or any text with `free_text`")
        if self.expires_at is None and self.expires_seconds is None:
            raise ValueError("`default` is the answer of a question that expires: say when it does")
        return self

    def expiry(self, asked_at: datetime) -> datetime | None:
        """Until when it waits, if it was asked at `asked_at`."""
        if self.expires_seconds is not None:
            return asked_at + timedelta(seconds=self.expires_seconds)
        return self.expires_at


class Ask(AskBody):
    """The same as a report on `towpath.report.<task_id>`; `question_id` tells when one is repeated."""

    status: Literal["asked"] = "asked"
    question_id: Name


class Held(Wire):
    """An attempt that a runner holds, from its acceptance until its terminal report is answered."""

    task_id: CheckedTaskId
    attempt: AttemptNumber


class Heartbeat(Wire):
    """A runner's heartbeat, published on `towpath.runner.<runner_id>`. `counter` only rises."""

    runner_id: CheckedRunnerId
    instance: Name | None = Field(
        default=None,
        description="Random, made once and kept with the runner's state, also across restarts: it tells two "
        "runners with one id apart.",
    )
    pools: list[Name] = Field(min_length=1, max_length=64)
    host: Annotated[str, BeforeValidator(_host), Field(description="Its first 255 characters are kept.")]
    capacity: Annotated[int, Field(ge=0, le=1_000_000), WHOLE]
    counter: Annotated[int, Field(ge=0, le=MAX_COUNTER), WHOLE]
    held: list[Held] = Field(default_factory=list, max_length=MAX_HELD)
    outbox: Annotated[int, Field(ge=0, lt=2**31), WHOLE] | None = Field(
        default=None, description="Reports on the runner's disk that are not answered yet."
    )
    leaving: StrictBool = Field(
        default=False,
        description="The runner's last heartbeat: it stops and takes nothing more. With an empty `held` it "
        "is gone at once, not lost.",
    )

    @cached_property
    def _keys(self) -> frozenset[tuple[str, int]]:
        return frozenset((one.task_id, one.attempt) for one in self.held)

    @property
    def gone(self) -> bool:
        """Whether the runner has stopped and holds nothing: it is no longer shown, and never lost."""
        return self.leaving and not self.held

    def holds(self, task_id: TaskId, attempt: int) -> bool:
        """Whether the runner lists this attempt."""
        return (task_id, attempt) in self._keys


def rfc3339(at: datetime) -> str:
    """`at` (aware) as RFC 3339 in UTC with microseconds, e.g. `2026-03-01T12:00:00.000000Z`."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
