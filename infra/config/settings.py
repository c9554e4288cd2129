"""All settings in one frozen object, read once from the environment.

No other module reads a setting from the environment or defines a default: code that needs a value gets this
object, or a part of it, from the composition root. Command-line options override fields. Rules between
settings are checked here; every error names the variable and never shows its value.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.config import ApiConfig, ApiConfigError, check_listen, parse_operator_tokens
from domain.context.loopback import is_loopback
from domain.identifiers import Name
from domain.runners.liveness import LeaseTerms
from domain.validation.token_rules import HOW, too_short
from infra.config.setting_types import (
    MAX_BYTES,
    AbsolutePath,
    ApiTokens,
    Bytes,
    CheckpointKeys,
    DatabaseUrl,
    HeaderSecret,
    HostNames,
    HttpUrl,
    JobSignals,
    LogLevelSetting,
    NatsClientKind,
    NatsUrls,
    Pools,
    Port,
    Replicas,
    Roots,
    SecretKeys,
    SyncInterval,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

PREFIX = "TOWPATH_"
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
NEVER_EMPTY = (
    "api_tokens",
    "api_runner_callback_token",
    "api_runner_callback_token_previous",
    "runner_token",
    "secret_key",
    "checkpoint_key",
    "nats_password",
)
"""An empty value would silently disable or replace these. Other variables count as unset when empty."""
DAY = 24 * 3600
"""Longest time, in seconds, that any setting accepts."""


class SettingsError(ValueError):
    """The environment or the options are invalid; the message says which and what to do."""


class Settings(BaseSettings):
    """Use `load_settings`: it turns problems into one SettingsError."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    data_dir: AbsolutePath = Field(
        Path(".towpath"), description="Directory of everything that is kept: log, read model, secrets."
    )
    log_level: LogLevelSetting = Field(
        "info", description="What is logged at least: `debug`, `info`, `warning` or `error`."
    )

    host: str = Field(
        "127.0.0.1", description="Address the API listens on; off loopback it needs `TOWPATH_API_TOKENS`."
    )
    port: Port = Field(8000, description="Port the API listens on; 0: any free one.")
    api_public_base_url: HttpUrl | None = Field(
        None,
        validation_alias="API_PUBLIC_BASE_URL",
        description="URL under which others reach the API; default: the address it listens on.",
    )
    api_runner_callback_base_url: HttpUrl | None = Field(
        None,
        validation_alias="API_RUNNER_CALLBACK_BASE_URL",
        description="URL under which runners reach the API for callbacks; default: `API_PUBLIC_BASE_URL`.",
    )
    api_runner_callback_token: HeaderSecret | None = Field(
        None,
        validation_alias="API_RUNNER_CALLBACK_TOKEN",
        description="What runners send in `X-Runner-Token`. Set: a callback without it or the attempt's own "
        "token gets 401. Unset: callbacks need no token.",
    )
    api_runner_callback_token_previous: HeaderSecret | None = Field(
        None,
        validation_alias="API_RUNNER_CALLBACK_TOKEN_PREVIOUS",
        description="Accepted beside `API_RUNNER_CALLBACK_TOKEN` while runners change to that one.",
    )
    api_tokens: ApiTokens | None = Field(
        None,
        description="Who may call the API: `role:token,…` with the roles viewer, auditor, operator, admin. "
        "Unset: everybody may do everything, on loopback only.",
    )
    allowed_hosts: HostNames = Field(
        (),
        description="Names under which the API and a runner's HTTP intake are reached, separated by commas; "
        "`*.example.com`: every name below it. Known without it: IP addresses, `localhost`, this machine's "
        "name, and the hosts of `TOWPATH_HOST`, `TOWPATH_RUNNER_HOST`, `API_PUBLIC_BASE_URL` and "
        "`API_RUNNER_CALLBACK_BASE_URL`. Other names get 403; web pages of these hosts may call.",
    )
    max_requests: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Requests an API process works on at once; more get 503 with `Retry-After`.",
    )
    max_streams: int = Field(
        1000, ge=1, le=100_000, description="Live event streams an API process serves at once; more get 503."
    )
    secret_key: SecretKeys | None = Field(
        None,
        description="Signs attempt tokens and seals env values. Several, separated by commas: the first is "
        "used, all are accepted. Default: made once, in `secret-key` in the data directory, a key per line.",
    )
    checkpoint_key: CheckpointKeys | None = Field(
        None,
        description="Signs checkpoints of the log: an Ed25519 seed, 64 hex digits. Several, separated by "
        "commas: the first signs, all are trusted; old ones may be given as `public:` and 64 hex digits. "
        "Default: made once, in `checkpoint-key` in the data directory.",
    )
    checkpoint_events: int = Field(
        1000, ge=1, le=10_000, description="A checkpoint is made for every so many events, …"
    )
    checkpoint_seconds: float = Field(
        60.0,
        gt=0,
        le=DAY,
        allow_inf_nan=False,
        description="… and at the latest so long after the first event that none covers.",
    )
    submit_deadline_seconds: float = Field(
        30.0,
        gt=0,
        le=DAY,
        allow_inf_nan=False,
        description="A runner must take an attempt within this time, else it is `submit-failed`.",
    )
    lease_seconds: float = Field(
        15.0,
        ge=1,
        le=DAY,
        allow_inf_nan=False,
        description="A runner that sends no heartbeat for so long stops its attempts, and is `suspected`. "
        "Same everywhere.",
    )
    lease_grace_seconds: float | None = Field(
        None,
        gt=0,
        le=DAY,
        allow_inf_nan=False,
        description="How much longer than its lease a runner may be silent until it is `lost` and what it "
        "held ends; at least a tenth of the lease. Default: a third of it.",
    )
    task_cache: int = Field(
        5_000, ge=1, le=10_000_000, description="Tasks kept in memory by each process that appends."
    )
    database_url: DatabaseUrl | None = Field(
        None,
        repr=False,
        description="SQLAlchemy URL of the read model, `postgresql://…` or `sqlite:///…`. "
        "Default: `read-model.db` in the data directory.",
    )
    host_runner_url: HttpUrl | None = Field(
        None,
        validation_alias="HOST_RUNNER_URL",
        description="Base URL of a push runner: attempts of pool `default` go to its `/tasks/submit`, "
        "and `towpath up` starts no runner of its own.",
    )

    nats_url: NatsUrls | None = Field(
        None,
        repr=False,
        description="NATS servers to use, separated by commas; special characters of a user or password "
        "in them as `%40`. Unset: `towpath up` starts one of its own.",
    )
    nats_port: Port = Field(4222, description="Port of the embedded NATS server; 0: any free one.")
    nats_user: str | None = Field(None, description="User on `TOWPATH_NATS_URL`.")
    nats_password: SecretStr | None = Field(None, description="Password of `TOWPATH_NATS_USER`.")
    nats_ca: AbsolutePath | None = Field(
        None, description="CA certificates (PEM) to check the NATS servers against."
    )
    nats_guest: bool | None = Field(
        None,
        description="Whether the embedded server lets clients in without a password, who may then watch "
        "facts, read the whole log and report. Unset: only where `TOWPATH_API_TOKENS` is not set either.",
    )
    nats_client: NatsClientKind = Field(
        "auto",
        description="NATS client of the control plane. `plain`: that of nats-py. `fast`: the same with parts "
        "replaced, which reads the log twice as fast. `auto`: `fast` with the version of nats-py that these "
        "parts were written for, else `plain`.",
    )
    nats_replicas: Replicas = Field(1, description="Copies of each stream: 1, or 3 or 5 in a cluster.")
    nats_sync_interval: SyncInterval = Field(
        "always",
        description="When the embedded server syncs to disk: `always`, or a duration such as `2m`, which is "
        "faster and may lose that much in a power cut.",
    )

    log_max_bytes: Bytes | None = Field(
        None,
        description="Limit of the log, in bytes or as `20GiB`; a full log refuses, it never drops. "
        "Unset: the limit stays as it is, at first none but the disk.",
    )
    log_reserve_bytes: Bytes = Field(
        64 << 20,
        description="So much room is kept for tasks that are open to end and give back their locks: below "
        "it, new tasks, attempts and workspaces are refused (507).",
    )

    nats_monitor_url: HttpUrl | None = Field(
        None,
        description="Monitoring URL of a NATS server, which `towpath doctor` reads. "
        "Default: the embedded server's.",
    )

    roots: Roots = Field(
        (),
        description="Directories a runner may work under, separated by colons. "
        "Default: none; for `towpath up` the current directory.",
    )
    pools: Pools = Field(("default",), description="Pools a runner takes attempts from, separated by commas.")
    runner_id: Name | None = Field(
        None, description="Name of the runner. Default: made once, kept in its state."
    )
    runner_capacity: int = Field(4, ge=1, le=1000, description="Attempts a runner runs at the same time.")
    runner_state_dir: AbsolutePath | None = Field(
        None, description="Directory of a runner's state. Default: `runner` in the data directory."
    )
    runner_host: str = Field(
        "127.0.0.1",
        description="Address of a runner's HTTP intake; off loopback it needs `TOWPATH_RUNNER_TOKEN`.",
    )
    runner_port: Port | None = Field(
        None, description="Port of a runner's HTTP intake. Unset: no HTTP intake."
    )
    runner_nats: bool = Field(
        True,
        description="`false`: a runner without NATS, which takes attempts by HTTP alone and sends its "
        "heartbeats to `TOWPATH_URL`.",
    )
    runner_reserve_bytes: int = Field(
        64 * 1024 * 1024,
        ge=0,
        le=MAX_BYTES,
        description="Free bytes on the disk of a runner's state below which it takes no attempt.",
    )
    runner_output_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024,
        le=MAX_BYTES,
        description="Bytes of output that a runner keeps of an attempt; of what goes beyond, the end.",
    )
    job_user: str | None = Field(
        None,
        description="User that tasks run as, with its groups and home. The runner must run as root. "
        "Default: the runner's own, which lets a task reach all that the runner can: "
        "[security.md](security.md).",
    )
    job_signals: JobSignals = Field(
        "any",
        description="`own`: tasks can signal and trace only what they have started, and set limits and "
        "priorities of their own only, so that none of them can stop its runner that way (Linux 6.12 with "
        "Landlock and seccomp; without root they cannot use `sudo` then). `any`: what their user may.",
    )
    runner_token: HeaderSecret | None = Field(
        None, description="What submitters send to a runner's HTTP intake in `X-Runner-Token`."
    )

    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        repr=False,
        description="URL of an OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`. "
        "Unset: no spans are made. More of `OTEL_*` counts, too: [tracing.md](tracing.md).",
    )
    otel_exporter_otlp_traces_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        repr=False,
        description="The same for spans alone, with its whole path, such as `http://127.0.0.1:4318/v1/traces`.",
    )
    otel_exporter_otlp_protocol: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL",
        description="`http/protobuf`, the one that is spoken. Default: that.",
    )
    otel_traces_exporter: str | None = Field(
        None,
        validation_alias="OTEL_TRACES_EXPORTER",
        description="`otlp`, or `none` for no spans. Default: `otlp`.",
    )
    otel_sdk_disabled: str | None = Field(
        None,
        validation_alias="OTEL_SDK_DISABLED",
        description="`true`: no spans, whatever else is set.",
    )

    url: HttpUrl = Field(
        "http://127.0.0.1:8000",
        description="Where client commands and runners find the API. Unset: commands take the "
        "`towpath up` that runs on the data directory, here or above.",
    )
    token: HeaderSecret | None = Field(None, description="The API token client commands send.")

    @property
    def listen_url(self) -> str:
        """URL of the address the API listens on; a wildcard address is shown as loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def callback_base(self) -> str:
        """Where runners POST their reports: `<this>/runner/tasks/<id>/status`."""
        return self.api_runner_callback_base_url or self.api_public_base_url or self.listen_url

    @property
    def tracing(self) -> bool:
        """Whether spans are created and exported."""
        disabled = (self.otel_sdk_disabled or "").strip().lower() == "true"
        return bool(self.otel_url) and not disabled and self.otel_traces_exporter != "none"

    @property
    def otel_url(self) -> str:
        """The endpoint that spans are sent to; "" if none is set."""
        if self.otel_exporter_otlp_traces_endpoint:
            return self.otel_exporter_otlp_traces_endpoint
        return (
            f"{self.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
            if self.otel_exporter_otlp_endpoint
            else ""
        )

    @property
    def read_model_url(self) -> URL:
        """The read model's URL with an async driver, built from parts: a path may hold any character."""
        from sqlalchemy.engine import URL, make_url

        if self.database_url is None:
            return URL.create("sqlite+aiosqlite", database=str(self.data_dir / "read-model.db"))
        url = make_url(self.database_url)
        return url.set(drivername=ASYNC_DRIVERS.get(url.drivername, url.drivername))

    @property
    def runner_state(self) -> Path:
        """A runner's state directory."""
        return self.runner_state_dir or self.data_dir / "runner"

    @property
    def lease_terms(self) -> LeaseTerms:
        """When a runner is suspected, and when it is lost."""
        grace = self.lease_seconds / 3 if self.lease_grace_seconds is None else self.lease_grace_seconds
        return LeaseTerms(timedelta(seconds=self.lease_seconds), timedelta(seconds=grace))

    def secret_keys(self) -> tuple[bytes, ...]:
        """The secret keys, the one in use first; makes the file in the data directory if needed.

        Raises:
            SettingsError: the file is damaged or cannot be read or made.
        """
        from infra.config.secret_key import load_or_make

        if self.secret_key is not None:
            return tuple(key.strip().encode() for key in self.secret_key.get_secret_value().split(","))
        try:
            return load_or_make(self.data_dir)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{error}; or set TOWPATH_SECRET_KEY") from error

    def checkpoint_keys(self, *, make: bool = True) -> tuple[str, ...]:
        """The checkpoint keys as texts, the signing one first; makes the file if needed.

        With `make` False: () if no key is set and no file exists.

        Raises:
            SettingsError: the file is damaged or cannot be read or made.
        """
        from infra.config.checkpoint_key import load, load_or_make

        if self.checkpoint_key is not None:
            return tuple(self.checkpoint_key.get_secret_value().split(","))
        try:
            return load_or_make(self.data_dir) if make else load(self.data_dir)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{error}; or set TOWPATH_CHECKPOINT_KEY") from error

    @property
    def has_guest(self) -> bool:
        """Whether the embedded NATS accepts clients without a password."""
        return self.api_tokens is None if self.nats_guest is None else self.nats_guest

    def check_api(self) -> None:
        """Check the rules for a process that serves the API. Raises SettingsError."""
        tokens = self.api_tokens.get_secret_value() if self.api_tokens else ""
        try:
            check_listen(self.host, ApiConfig(operator_tokens=parse_operator_tokens(tokens)))
        except ApiConfigError as error:
            raise SettingsError(f"TOWPATH_HOST: {error}") from None
        if not is_loopback(self.host):
            for name in ("api_runner_callback_token", "api_runner_callback_token_previous"):
                token: SecretStr | None = getattr(self, name)
                problem = too_short(len(token.get_secret_value())) if token else None
                if problem:
                    raise SettingsError(f"{env_name(name)} {problem}")

    def check_runner(self) -> None:
        """Check the rules for a process that runs tasks. Raises SettingsError."""
        from runner.errors import RunnerConfigError
        from runner.isolation.confinement import check_available
        from runner.isolation.job_user import find_user

        for root in self.roots:
            if not root.is_dir():
                raise SettingsError(
                    f"--root {root}: there is no such directory on this host; make it, or name another"
                )
        try:
            if self.job_user is not None:
                find_user(self.job_user)
            if self.job_signals == "own":
                check_available()
        except RunnerConfigError as error:
            raise SettingsError(str(error)) from None

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.lease_grace_seconds is not None and self.lease_grace_seconds < self.lease_seconds / 10:
            raise ValueError(
                "TOWPATH_LEASE_GRACE_SECONDS must be at least a tenth of TOWPATH_LEASE_SECONDS: killing what "
                "a silent runner ran takes a moment, and clocks differ"
            )
        if self.log_max_bytes is not None and self.log_max_bytes < 2 * self.log_reserve_bytes:
            raise ValueError(
                "TOWPATH_LOG_MAX_BYTES must be at least twice TOWPATH_LOG_RESERVE_BYTES, which it includes"
            )
        if (self.nats_user is None) != (self.nats_password is None):
            raise ValueError("TOWPATH_NATS_USER and TOWPATH_NATS_PASSWORD go together: set both or neither")
        if self.api_runner_callback_token_previous and not self.api_runner_callback_token:
            raise ValueError("API_RUNNER_CALLBACK_TOKEN_PREVIOUS goes with API_RUNNER_CALLBACK_TOKEN: set it")
        if self.nats_url is None:
            if self.nats_user is not None or self.nats_ca is not None:
                raise ValueError(
                    "TOWPATH_NATS_USER and TOWPATH_NATS_CA are for TOWPATH_NATS_URL: set that, too"
                )
            if self.nats_replicas > 1:
                raise ValueError("TOWPATH_NATS_REPLICAS above 1 needs a cluster: set TOWPATH_NATS_URL to it")
        return self


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process: `overrides` (None: not given), else the environment, else defaults.

    Raises:
        SettingsError: one line per problem.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    set_empty = {name.upper() for name, value in os.environ.items() if not value.strip()}
    empty = [env_name(name) for name in NEVER_EMPTY if name not in given and env_name(name) in set_empty]
    if empty:
        advice = f"it is empty: set a value ({HOW}), or unset it to do without"
        raise SettingsError("\n".join(f"{name}: {advice}" for name in empty))
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_problem(dict(one)) for one in error.errors(include_url=False))
        ) from None


def env_name(field: str) -> str:
    """The environment variable of a field."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{field.upper()}"


def _problem(error: dict[str, Any]) -> str:
    where = [str(part) for part in error["loc"]]
    message = str(error["msg"]).removeprefix("Value error, ")
    if not where:
        return message
    return f"{env_name(where[0]) if where[0] in Settings.model_fields else where[0]}: {message}"
