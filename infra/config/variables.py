"""The variables of the environment: name, type, default and description of each setting.

What follows from them, and the rules between them, is in `settings.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.identifiers import Name
from infra.config.setting_types import (
    MAX_BYTES,
    AbsolutePath,
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

PREFIX = "TOWPATH_"
DAY = 24 * 3600
"""Longest time, in seconds, that any setting accepts."""
Seconds = Annotated[float, Field(gt=0, le=DAY, allow_inf_nan=False)]


class Variables(BaseSettings):
    """Every variable by its field, with its default and its description in `docs/settings.md`."""

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
    api_tokens: SecretStr | None = Field(
        None,
        description="Who may call the API: `role[=name][+behalf]:token,…` with the roles viewer, auditor, "
        "operator, admin ([access.md](access.md)). The name stands in events; `+behalf` lets a bot act on "
        "behalf of people. Neither this nor the file: everybody may do everything, on loopback only.",
    )
    api_tokens_file: AbsolutePath | None = Field(
        None,
        description="A file with more of them, one on each line; lines that begin with `#` are comments. Its "
        "mode must be 0600. Read when an API process starts.",
    )
    notify: AbsolutePath | None = Field(
        None,
        description="The file of channels and rules of `towpath notifier` ([notices.md](notices.md)), mode "
        "0600. Set: `towpath up` starts the notifier, too.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs the webhooks of channels that name no secret: `whsec_…`; several, separated by "
        "spaces, all sign.",
    )
    telegram_token: SecretStr | None = Field(
        None,
        description="The bot's token for channels of Telegram that name none; BotFather gives it.",
    )
    telegram_api: HttpUrl = Field(
        "https://api.telegram.org",
        description="Where Telegram's Bot API is: its own, or a Bot API server that you run.",
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
    workers: int = Field(
        1, ge=1, le=64, description="API processes that share the port, each with the limits above."
    )
    secret_key: SecretKeys | None = Field(
        None,
        description="Signs attempt tokens and the console's cookies, and encrypts env values. Several, "
        "separated by commas: the first is used, all are accepted. Default: made once, in `secret-key` in "
        "the data directory, one per line.",
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
    checkpoint_seconds: Seconds = Field(
        60.0,
        description="… and at the latest so long after the first event that none covers.",
    )
    submit_deadline_seconds: Seconds = Field(
        30.0,
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
    lease_grace_seconds: Seconds | None = Field(
        None,
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
    runner_output_days: float = Field(
        7.0,
        ge=0,
        le=3650,
        allow_inf_nan=False,
        description="Days that a runner keeps an attempt's output after its end; `0`: as short as it can.",
    )
    runner_output_total_bytes: Bytes = Field(
        10 << 30,
        description="Bytes that a runner keeps of all outputs together, or as `20GiB`. Of more, it deletes "
        "those that ended first, never one of a running attempt.",
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
