"""The runner as a service: builds its parts, starts and stops them.

Stopping ends the attempts, since nothing may run without a renewed lease. Their reports are sent within the
remaining time; the others stay in the outbox for the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import structlog
from nats.aio.client import Client

from domain.context.tracer import Tracer
from domain.lifecycle.service import STOP_SECONDS, Background, Service, Services
from domain.validation.web_hosts import WebHosts
from runner.attempts.attempt_run import AttemptContext
from runner.attempts.executor import STOP_MARGIN_SECONDS, Executor
from runner.attempts.start_gate_transports import HttpStartGate, NatsStartGate
from runner.cleanup.job_directories import hold, let_go, remove_stale
from runner.cleanup.trash import Trash
from runner.config import RunnerConfig
from runner.control.follower import Follower
from runner.control.heartbeat import BeatChannel, Heart
from runner.control.heartbeat_channels import HttpBeats, NatsBeats
from runner.control.lease import HeartbeatLease, NoLease
from runner.control.pauses import ApiPauses, LogPauses, PauseReader
from runner.control.start_gate import StartGate
from runner.control.task_log import TaskLog
from runner.health import Health
from runner.intake.http import HttpIntake
from runner.intake.nats import PoolIntake
from runner.intake.server import IntakeServer
from runner.isolation.cgroup import own_cgroup, remove_left
from runner.isolation.job_user import work_directory
from runner.nats_link import NatsLink
from runner.outbox.reporter import Reporter
from runner.outbox.transports import HttpReports, NatsReports, ReportTransport
from runner.output.nats import NatsOutput
from runner.output.ranges import OutputRanges
from runner.output.retention import Retention
from runner.process.launcher.forking import Launcher
from runner.process.orphans import Adoption
from runner.store.disk_guard import Storage
from runner.store.state import Attempt, RunnerState, Transport

log = structlog.get_logger(__name__)


class RunnerService:
    """One runner. Create it, `start` it, `stop` it; start and stop on the event loop of the main thread."""

    def __init__(
        self,
        config: RunnerConfig,
        tracer: Tracer | None = None,
        protocol: type[asyncio.Protocol] | None = None,
        new_output_client: Callable[[], Client] = Client,
    ) -> None:
        """`protocol`: the HTTP intake's protocol class, see `IntakeServer`.

        `new_output_client` makes the NATS client that sends ranges of outputs.
        """
        self.config = config
        self.state = RunnerState(config.state_dir)
        self.runner_id = self.state.runner_id(config.runner_id)
        self._link = (
            NatsLink(config.nats_url, config.nats_options, self.runner_id) if config.nats_url else None
        )
        self._output_link = (
            NatsLink(config.nats_url, config.nats_options, f"{self.runner_id}-output", new_output_client)
            if config.nats_url
            else None
        )
        self._started = self._stopped = False
        self._http = HttpReports(config.allowed_callback_origins)
        transports: dict[Transport, ReportTransport] = {"http": self._http}
        if self._link is not None:
            transports["nats"] = NatsReports(self._link)
        self._storage = Storage(self.state, config.reserve_bytes)
        self._reporter = Reporter(self.state, self._storage, transports, tracer)
        kept = (self.state, self._storage, self._reporter, self.runner_id)
        gates: dict[Transport, StartGate] = {"http": HttpStartGate(*kept)}
        self._lease: HeartbeatLease | NoLease = NoLease()
        self._follower: Follower | None = None
        if self._link is not None or config.api_url is not None:
            self._lease = HeartbeatLease(config.lease_seconds)
        pauses: Callable[[Attempt], PauseReader] = partial(ApiPauses, self._http)
        if self._link is not None:
            task_log = TaskLog(self._link)
            pauses = partial(LogPauses, task_log)
            self._follower = Follower(
                task_log,
                self.state,
                self.runner_id,
                lambda key, standing: self._executor.see(key, standing),
                self._reporter.wake,
                config.timing,
            )
            gates["nats"] = NatsStartGate(*kept, self._follower)
        slots = asyncio.Semaphore(config.capacity)
        self._work = work_directory(config.user, self.state.work, self.runner_id)
        self._trash = Trash(self._work)
        self._held = hold(self._work) if config.user is not None else None
        self._adoption = Adoption()
        self._launcher = Launcher(self._adoption)
        own = own_cgroup() if config.job_cgroups else None
        self._cgroups = own / f"towpath-{self.runner_id}" if own else None
        self._outputs = OutputRanges(self.state)
        self._retention = Retention(self.state, config.output_days, config.output_total_bytes)
        bench = AttemptContext(
            config=config,
            runner_id=self.runner_id,
            state=self.state,
            storage=self._storage,
            lease=self._lease,
            gates=gates,
            slots=slots,
            work=self._work,
            trash=self._trash,
            cgroups=self._cgroups,
            adoption=self._adoption,
            launcher=self._launcher,
            outputs=self._outputs,
            retention=self._retention,
            pauses=pauses,
            tracer=tracer,
        )
        self._beats: HttpBeats | None = None
        if self._link is None and config.api_url is not None:
            self._beats = HttpBeats(
                config.api_url, config.api_token, lambda key: self._executor.cancel_held(key)
            )
        asked = self._follower or self._beats
        self._executor = Executor(bench, self._reporter, self._follower, asked.canceled if asked else None)
        self._server = self._intake_server(protocol)
        self._services = Services(
            *self._listed(), stop_seconds=config.kill_grace_seconds + STOP_MARGIN_SECONDS + STOP_SECONDS
        )

    def _listed(self) -> Iterator[Service]:
        """In the order of starting. Attempts end, and their reports go out, while lease and NATS last."""
        yield self._launcher
        if self._link is not None:
            yield self._link
        if self._output_link is not None:
            yield self._output_link
            answers = NatsOutput(self._output_link, self._outputs, self.runner_id, self.state.instance)
            yield Background(answers.run)
        yield Background(self._retention.run)
        if self._server is not None:
            yield self._server
        yield self._trash
        if self._beats is not None:
            heart = self._heart(self._beats)
            yield Background(heart.run, save=heart.leave)
        if self._link is not None and self._follower is not None:
            heart = self._heart(NatsBeats(self._link, self._follower, self.runner_id, self.state.instance))
            for hurry in (heart.hurry, self._reporter.hurry, self._follower.nudge):
                self._link.on_connected(hurry)
            yield Background(heart.run, save=heart.leave)
        yield self._reporter
        yield self._executor
        if self._link is not None:
            for pool in self.config.pools:
                yield Background(PoolIntake(pool, self._link, self._executor, self.config.timing).run)

    @property
    def intake_url(self) -> str | None:
        """The HTTP intake's URL; None without an intake or before `start`."""
        return self._server.url or None if self._server is not None else None

    async def start(self) -> None:
        """Load the outbox and the held attempts, then accept attempts. Works while NATS is unreachable.

        Further calls do nothing.
        """
        if self._started:
            return
        self._started = True
        if self._cgroups is not None:
            await asyncio.to_thread(remove_left, self._cgroups)
        if self.config.adopts_orphans:
            self._adoption.turn_on()
        if self._held is not None:
            await asyncio.to_thread(remove_stale, self._work.parent)
        await self._services.start()
        if self._link is not None and not await self._link.ready(self.config.timing.connect_seconds):
            log.warning("nats is not there yet, going on trying")
        log.info("runner started", runner_id=self.runner_id, pools=self.config.pools, intake=self.intake_url)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Start if needed, wait for `stop`, then stop. A part that fails stops all; its error is raised."""
        try:
            await self.start()
            await self._services.until(stop)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End all attempts (SIGTERM, grace, SIGKILL), send pending reports, close. May be called again."""
        if self._stopped:
            return
        self._stopped = True
        try:
            await self._services.stop()
        finally:
            if self._held is not None:
                let_go(self._work, self._held)
            await self._http.close()
            if self._beats is not None:
                await self._beats.close()
            self.state.close()
        log.info("runner stopped", runner_id=self.runner_id)

    def _heart(self, channel: BeatChannel) -> Heart:
        assert isinstance(self._lease, HeartbeatLease)
        return Heart(
            self.config, self.runner_id, self.state, self._storage, channel, self._lease, self._executor
        )

    def _intake_server(self, protocol: type[asyncio.Protocol] | None) -> IntakeServer | None:
        config = self.config
        if config.intake_port is None:
            return None
        health = Health(self.runner_id, self.state, self._storage, self._reporter, self._lease)
        hosts = WebHosts(config.intake_hosts)
        intake = HttpIntake(
            self._executor, self.state, self._outputs, health, self.runner_id, config.runner_token, hosts
        )
        return IntakeServer(intake.app, config.intake_host, config.intake_port, protocol)
