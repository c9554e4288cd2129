"""Runner configuration: one frozen object, validated when it is made.

The program that starts a runner (the CLI, a test) fills it; this package reads no settings from the
environment. Every error names the setting to change.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.context.loopback import is_loopback
from domain.context.redaction import secrets_in_urls
from domain.identifiers import check_name
from domain.validation.token_rules import token_problem, too_short
from runner.errors import RunnerConfigError
from runner.isolation.confinement import check_available
from runner.isolation.job_user import JobUser, find_user
from runner.outbox.origins import origin

LONGEST_LEASE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class RunnerTiming:
    """How patient a runner on NATS is. No setting: what it waits for is the same everywhere."""

    connect_seconds: float = 5.0
    """For the first connection, before the start goes on without it."""
    fetch_seconds: float = 5.0
    """For the next submission, before it is looked whether the queue still is there."""
    bare_seconds: float = 60.0
    """After an end that had no effect, before it is reported without its text."""
    settle_seconds: float = 3600.0
    """After an end whose report has left the queue unapplied, before the attempt is let go."""


@dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """Configuration of a runner. Its repr shows no secrets."""

    state_dir: Path
    """Directory of attempts, reports and outputs. If it is emptied, the runner gets a new identity."""
    roots: tuple[Path, ...] = ()
    """Directories that workspaces may lie in (`--root`), resolved when this object is made."""
    pools: tuple[str, ...] = ("default",)
    """Pools to take attempts from."""
    capacity: int = 4
    """Attempts running at the same time; as many more may be accepted and wait."""
    host: str = field(default_factory=socket.gethostname)
    """Label shown to people."""
    runner_id: str | None = None
    """None: generated once and stored in the state directory."""
    nats_url: str | None = field(default=None, repr=False)
    """Servers for submissions, reports and heartbeats, separated by commas."""
    nats_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Further arguments of `nats.connect`: user, password, token, tls, …"""
    intake_host: str = "127.0.0.1"
    """Address of the HTTP intake; off loopback it needs `runner_token`."""
    intake_port: int | None = None
    """None: no HTTP intake. 0: any free port."""
    intake_hosts: tuple[str, ...] = ()
    """Names the HTTP intake answers under, beside IP addresses and `localhost` (TOWPATH_ALLOWED_HOSTS)."""
    runner_token: str | None = field(default=None, repr=False)
    """Token that submitters send in `X-Runner-Token` (TOWPATH_RUNNER_TOKEN)."""
    callback_urls: tuple[str, ...] = ()
    """URLs whose origins (scheme, host, port) reports may be POSTed to; empty: that of `api_url`."""
    api_url: str | None = None
    """The control plane's API; without NATS, heartbeats go there."""
    job_api_url: str | None = None
    """Where jobs reach the API from here, unless their submission says it."""
    api_token: str | None = field(default=None, repr=False)
    """Token sent with heartbeats in `X-Runner-Token` (API_RUNNER_CALLBACK_TOKEN)."""
    lease_seconds: float = 15.0
    """How long attempts may continue after the last acknowledged heartbeat was sent."""
    reserve_bytes: int = 64 * 1024 * 1024
    """Free space on the disk of `state_dir` below which no attempt is accepted."""
    output_bytes: int = 256 * 1024 * 1024
    """How much of an attempt's output is kept; of a longer output also the end."""
    output_days: float = 7.0
    """How long an output is kept after its attempt has ended."""
    output_total_bytes: int = 10 * 1024 * 1024 * 1024
    """How much is kept of all outputs together; of more, those that ended first are deleted earlier."""
    kill_grace_seconds: float = 5.0
    """Between SIGTERM and SIGKILL."""
    job_user: str | None = None
    """User that jobs run as (`--job-user`); needs root. None: the runner's own."""
    own_signals: bool = False
    """Jobs may signal and trace only processes that they started (`--job-signals own`)."""
    adopts_orphans: bool = False
    """The process belongs to this runner alone: a child that it did not start was left by a job."""
    job_cgroups: bool = True
    """Give each job a cgroup of its own, if permitted."""
    timing: RunnerTiming = RunnerTiming()
    user: JobUser | None = field(init=False, default=None)
    """The user of `job_user`."""

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_names()
        self._check_doors()
        try:
            _ = self.allowed_callback_origins
        except ValueError as error:
            raise RunnerConfigError(f"TOWPATH_URL or API_RUNNER_CALLBACK_BASE_URL: {error}") from None
        for root in self.roots:
            if not root.is_absolute():
                raise RunnerConfigError(f"--root {root}: give an absolute path")
        # Resolved now: a link that is changed while the runner works has no effect.
        object.__setattr__(self, "roots", tuple(_resolved(root) for root in self.roots))
        if self.own_signals:
            check_available()
        if self.job_user is not None:
            object.__setattr__(self, "user", find_user(self.job_user))

    @property
    def heartbeat_seconds(self) -> float:
        """A third of the lease: two heartbeats may be lost."""
        return self.lease_seconds / 3

    @property
    def allowed_callback_origins(self) -> tuple[str, ...]:
        """Origins of `callback_urls`, else that of the control plane, else none."""
        urls = self.callback_urls or ((self.api_url,) if self.api_url else ())
        return tuple(dict.fromkeys(map(origin, urls)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The runner's own secrets, to be masked in outputs."""
        options = (self.nats_options.get(name) for name in ("password", "token"))
        found = (self.runner_token, self.api_token, *options, *secrets_in_urls(self.nats_url))
        return tuple(value for value in found if isinstance(value, str) and value)

    def _check_numbers(self) -> None:
        if not 1 <= self.capacity <= 1000:
            raise RunnerConfigError(f"capacity {self.capacity}: a runner runs 1 to 1000 attempts at a time")
        if not 1 <= self.lease_seconds <= LONGEST_LEASE_SECONDS:
            raise RunnerConfigError(f"lease_seconds {self.lease_seconds}: give 1 second to a day")
        if self.kill_grace_seconds < 0:
            raise RunnerConfigError("kill_grace_seconds: give 0 or more")

    def _check_names(self) -> None:
        if not self.pools:
            raise RunnerConfigError("no pools: name at least one, such as `default`")
        for what, names in (("pool", self.pools), ("runner id", (self.runner_id or "-",))):
            for name in names:
                try:
                    check_name(name, what)
                except ValueError as error:
                    raise RunnerConfigError(f"{name!r}: {error}") from None

    def _check_doors(self) -> None:
        if self.nats_url is None and self.intake_port is None:
            raise RunnerConfigError(
                "nothing to take attempts from: a runner without NATS (--no-nats) needs an HTTP intake "
                "(--listen HOST:PORT, TOWPATH_RUNNER_PORT)"
            )
        for name, token in (("TOWPATH_RUNNER_TOKEN", self.runner_token), ("callback token", self.api_token)):
            if token is not None and (trouble := token_problem(token)):
                raise RunnerConfigError(f"{name}: {trouble}")
        if self.intake_port is None or is_loopback(self.intake_host):
            return
        if self.runner_token is not None and (trouble := too_short(len(self.runner_token))):
            raise RunnerConfigError(f"listening on {self.intake_host}: TOWPATH_RUNNER_TOKEN {trouble}")
        if self.runner_token is None:
            raise RunnerConfigError(
                f"the HTTP intake executes commands, and {self.intake_host} is not a loopback address: "
                "set TOWPATH_RUNNER_TOKEN (submitters send it in X-Runner-Token) or listen on 127.0.0.1"
            )


def _resolved(root: Path) -> Path:
    try:
        return root.resolve()
    except (OSError, RuntimeError) as error:  # a cycle of links
        raise RunnerConfigError(f"--root {root}: cannot be resolved: {error}") from None
