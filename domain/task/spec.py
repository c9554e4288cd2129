"""Task specification: what a client sends to create a task, validated on entry."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from domain.identifiers import CheckedTaskId, CheckedWorkspaceId, Name
from domain.log.events import OnConflict, RetryPolicy, RetryReason
from domain.protocol import WHOLE, Exact, ExecutionMode, LockMode, Shown
from domain.workspaces.paths import DEEP, MAX_PATH_CHARS, MAX_PATHS, UP

MAX_TIMEOUT_SECONDS = 30 * 24 * 3600.0
MAX_BACKOFF_SECONDS = 24 * 3600.0
MOST_ATTEMPTS = 100
MAX_PROGRAM_BYTES = 4095
MAX_PROGRAM_NAME_BYTES = 255
MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux's limits: of a path, of a name in it, and of one argument or `NAME=value` of the environment."""
MAX_START_BYTES = 1024 * 1024
"""For all arguments and the environment together: half of Linux's limit, since a runner adds variables."""


NO_NUL = r"^[^\x00]*$"
Text = Annotated[Exact, Field(json_schema_extra={"pattern": NO_NUL})]


def _label_name(value: str) -> str:
    """Reject `:` and `=`: filters are written `name:value`, and the command line `name=value`."""
    if ":" in value or "=" in value:
        raise ValueError("a label's name cannot hold `:` or `=`, which divide it from its value")
    return value


Label = Annotated[Text, StringConstraints(min_length=1, max_length=200), AfterValidator(_label_name)]
Seconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS, allow_inf_nan=False)]
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
EnvName = Annotated[str, StringConstraints(pattern=ENV_NAME)]


LockPath = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=MAX_PATH_CHARS,
        json_schema_extra={"not": {"anyOf": [{"pattern": UP}, {"pattern": DEEP}]}},
    ),
]
Command = Annotated[
    list[Text],
    Field(
        min_length=1,
        max_length=1000,
        json_schema_extra={"prefixItems": [{"type": "string", "minLength": 1, "pattern": NO_NUL}]},
    ),
]


def _map(most: int, names: dict[str, Any], **values: Any) -> WithJsonSchema:
    """JSON Schema of a map of text, with `propertyNames`; pydantic would write `patternProperties`."""
    text = {"type": "string", "pattern": NO_NUL, **values}
    return WithJsonSchema(
        {"type": "object", "additionalProperties": text, "propertyNames": names, "maxProperties": most}
    )


Env = Annotated[dict[EnvName, Text], Field(max_length=500), _map(500, {"pattern": ENV_NAME})]
Labels = Annotated[
    dict[Label, Annotated[Text, Field(max_length=500)]],
    Field(max_length=50),
    _map(50, {"pattern": r"^[^:=\x00]{1,200}$"}, maxLength=500),
]


class Retry(BaseModel):
    """Begin the next attempt automatically if one ends for one of the reasons `on`.

    All attempts count, also those that `dispatch` begins. The first pause is `backoff_seconds`, each later
    one twice as long, up to an hour; up to a quarter is added at random. `exit` (the command ended with
    another code than 0) counts only if it is named.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_attempts: Annotated[int, Field(ge=2, le=MOST_ATTEMPTS, strict=False), WHOLE]
    backoff_seconds: Annotated[float, Field(ge=0, le=MAX_BACKOFF_SECONDS, allow_inf_nan=False)] = 10.0
    on: Annotated[list[RetryReason], Field(min_length=1, max_length=10)] = [
        "no-runner",
        "unreachable",
        "runner-lost",
        "deadline",
    ]

    @property
    def policy(self) -> RetryPolicy:
        """As the log stores it: each reason once, in one order."""
        return RetryPolicy(
            max_attempts=self.max_attempts, backoff_seconds=self.backoff_seconds, on=sorted(set(self.on))
        )


def _startable(command: list[str], env: dict[str, str]) -> None:
    """Refuse on creation a command that no host could start later."""
    program = command[0].encode()
    if not program:
        raise ValueError("the first item of `command` names the program to run")
    if len(program) > MAX_PROGRAM_BYTES or any(len(p) > MAX_PROGRAM_NAME_BYTES for p in program.split(b"/")):
        raise ValueError(
            f"the first item of `command` names the program to run: at most {MAX_PROGRAM_BYTES} bytes, and "
            f"{MAX_PROGRAM_NAME_BYTES} between slashes"
        )
    sizes = [len(one.encode()) for one in command]
    sizes += [len(name) + 1 + len(value.encode()) for name, value in env.items()]
    if max(sizes) > MAX_ARGUMENT_BYTES:
        raise ValueError(f"one argument, or one variable in `env`, has at most {MAX_ARGUMENT_BYTES} bytes")
    if sum(sizes) > MAX_START_BYTES:
        raise ValueError(f"`command` and `env` together have at most {MAX_START_BYTES} bytes")


def _with_or_without_a_lock(schema: dict[str, Any]) -> None:
    """The checks of `_fits_together` as JSON Schema."""
    schema["examples"] = [
        {"title": "hello", "command": ["sh", "-c", "echo hello"], "execution_mode": "no-workspace"}
    ]
    nothing, name = {"type": "null"}, {"type": "string"}
    locked = {"execution_mode": {"const": "shared-workspace"}, "workspace": name}
    schema["anyOf"] = [
        {
            "title": "without a lock",
            "properties": {
                "execution_mode": {"const": "no-workspace"},
                "workspace": nothing,
                "lock_paths": {"maxItems": 0},
                "lock_wait_seconds": nothing,
            },
        },
        {
            "title": "waits for its lock",
            "required": ["workspace"],
            "properties": {**locked, "on_conflict": {"const": "wait"}},
        },
        {
            "title": "with a lock",
            "required": ["workspace"],
            "properties": {**locked, "lock_wait_seconds": nothing},
        },
    ]
    schema["if"] = {"required": ["timeout_pauses"], "properties": {"timeout_pauses": {"const": True}}}
    schema["then"] = {"required": ["timeout_seconds"], "properties": {"timeout_seconds": {"type": "number"}}}


class TaskSpec(BaseModel):
    """Body of `POST /tasks`. Only `command` is required; a task that names a workspace locks it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra=_with_or_without_a_lock
    )

    id: CheckedTaskId | None = None
    title: Annotated[Shown, Field(max_length=500)] | None = None
    command: Command
    execution_mode: ExecutionMode = "no-workspace"
    workspace: CheckedWorkspaceId | None = None
    lock_paths: Annotated[list[LockPath], Field(max_length=MAX_PATHS)] = []
    lock_mode: LockMode = "exclusive"
    on_conflict: OnConflict = "wait"
    lock_wait_seconds: Seconds | None = Field(
        default=None, description="Cancel an attempt that has waited so long for its lock."
    )
    pool: Name = "default"
    env: Env = {}
    secrets: Env = Field(
        default={},
        description="Variables like `env`, not its names again; their values are masked in output.",
    )
    timeout_seconds: Seconds | None = None
    timeout_pauses: bool = Field(
        default=False, description="`timeout_seconds` does not run while a question of the job is open."
    )
    retry: Retry | None = None
    labels: Labels = {}

    @model_validator(mode="before")
    @classmethod
    def _workspace_means_shared(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("workspace") and "execution_mode" not in given:
            return {**given, "execution_mode": "shared-workspace"}
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> TaskSpec:
        if self.execution_mode == "shared-workspace" and self.workspace is None:
            raise ValueError("`shared-workspace` needs a `workspace`; or use `no-workspace`")
        if self.execution_mode == "no-workspace" and (self.workspace or self.lock_paths):
            raise ValueError("`no-workspace` takes no `workspace` and no `lock_paths`")
        if self.lock_wait_seconds is not None and self.workspace is None:
            raise ValueError("`lock_wait_seconds` is about a lock: name a `workspace`, or leave it out")
        if self.lock_wait_seconds is not None and self.on_conflict == "reject":
            raise ValueError("`reject` never waits: leave out `lock_wait_seconds`, or use `wait`")
        if self.timeout_pauses and self.timeout_seconds is None:
            raise ValueError("`timeout_pauses` is about a timeout: give `timeout_seconds`, or leave it out")
        if twice := sorted(set(self.env) & set(self.secrets)):
            raise ValueError(f"{', '.join(twice)} stands in `env` and in `secrets`: leave it in one of them")
        _startable(self.command, {**self.env, **self.secrets})
        return self

    @property
    def shown_title(self) -> str:
        """The title, or the command line if none was given."""
        return self.title if self.title is not None else " ".join(self.command)[:500]
