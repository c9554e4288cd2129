"""All settings in one frozen object, read once from the environment.

Code of the control plane that needs a value gets this object, or a part of it, from the composition root.
Only clients read three of the variables themselves where these are plain (`infra/cli/client/endpoint.py`), as
loading this module would delay each command. Command-line options override fields. Rules between
settings are checked here; every error names the variable and never shows its value.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError, model_validator

from api.config import ApiConfig, ApiConfigError, OperatorToken, check_listen
from api.operator_tokens import parse_operator_tokens
from domain.context.loopback import is_loopback
from domain.runners.liveness import LeaseTerms
from domain.validation.token_rules import HOW, too_short
from infra.config.variables import PREFIX, Variables

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
NEVER_EMPTY = (
    "api_tokens",
    "api_tokens_file",
    "api_runner_callback_token",
    "api_runner_callback_token_previous",
    "runner_token",
    "secret_key",
    "checkpoint_key",
    "nats_password",
    "webhook_secret",
)
"""An empty value would silently disable or replace these. Other variables count as unset when empty."""

_NO_TOKEN = f"no token stands in it: write role=name:token ({HOW}), or unset it to do without"


class SettingsError(ValueError):
    """The environment or the options are invalid; the message says which and what to do."""


class Settings(Variables):
    """Use `load_settings`: it turns problems into one SettingsError."""

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
    def job_api_url(self) -> str | None:
        """Where jobs reach the API; None where no setting tells: their hosts may be others than this one."""
        return self.api_runner_callback_base_url or self.api_public_base_url

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
    def notices_url(self) -> URL:
        """The URL of the notifier's state: a schema of its own in PostgreSQL, else a file of its own."""
        from sqlalchemy.engine import URL

        url = self.read_model_url
        if url.get_backend_name() == "sqlite":
            return URL.create("sqlite+aiosqlite", database=str(self.data_dir / "notices.db"))
        return url

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
        return not self.has_operator_tokens if self.nats_guest is None else self.nats_guest

    @property
    def has_operator_tokens(self) -> bool:
        """Whether callers of the API need a token."""
        return self.api_tokens is not None or self.api_tokens_file is not None

    def operator_tokens(self) -> tuple[OperatorToken, ...]:
        """The tokens of the API's callers, from the variable and the file.

        Raises:
            SettingsError: the file cannot be read, is open to others, or holds what is no entry.
        """
        from infra.config.private_files import read_private

        text = self.api_tokens.get_secret_value() if self.api_tokens else ""
        if self.api_tokens_file is None:
            return parse_operator_tokens(text)
        try:
            lines = read_private(self.api_tokens_file)
        except (OSError, ValueError) as error:
            raise SettingsError(f"TOWPATH_API_TOKENS_FILE: {error}") from None
        try:
            if not parse_operator_tokens(lines=lines):
                raise SettingsError(f"TOWPATH_API_TOKENS_FILE: {_NO_TOKEN}")
            return parse_operator_tokens(text, lines)
        except ApiConfigError as error:
            raise SettingsError(str(error)) from None

    def check_api(self) -> None:
        """Check the rules for a process that serves the API. Raises SettingsError."""
        try:
            check_listen(self.host, ApiConfig(operator_tokens=self.operator_tokens()))
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
        if self.api_tokens is not None and not parse_operator_tokens(self.api_tokens.get_secret_value()):
            raise ValueError(f"TOWPATH_API_TOKENS: {_NO_TOKEN}")
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
