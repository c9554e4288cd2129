"""The composition root: builds connected parts from settings. Only this module wires adapters to ports.

`open_core` opens what every process of the control plane shares (NATS, the store, keys, SQL); `api_parts` and
`projections` build on it. Entry points only call these. Importing opens nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import structlog
from nats.aio.client import Client
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils import uuid7

from adapters.crypto.checkpoint_keys import parse_keys, public_texts
from adapters.crypto.env_encryption import AesGcmEnvCipher
from adapters.event_store.append_logging import LoggingAppender
from adapters.event_store.appender import SETTLE_SECONDS, SingleAppender
from adapters.event_store.audit_records import JetStreamAuditRecords
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.codec import Message
from adapters.event_store.group_appender import WHERE_NOT_SYNCED, WHERE_SYNCED, GroupAppender
from adapters.event_store.lock_and_workspace_log import AppenderLockLog, AppenderWorkspaceLog
from adapters.event_store.measured_capacity import MeasuredCapacity
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.event_store.reading.raw_reader import RawLog
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_store import LogTaskStore
from adapters.nats.consumer_sweep import ConsumerSweep
from adapters.nats.jetstream_api import JetStreamApi
from adapters.queues.backlogs import JetStreamBacklogs, Queue
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.timers import JetStreamTimers
from adapters.queues.work_queue import JetStreamDueQueue, JetStreamEventQueue
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.errors import DatabaseUnreachable, translated
from adapters.read_model.snapshots import SqlSnapshots
from adapters.read_model.store import SqlReadModel
from adapters.runners.heartbeat_feed import CoreBeatFeed
from adapters.runners.heartbeats import JetStreamHeartbeats
from adapters.runners.output import NatsOutputs, PoolOutputs, PushOutputs
from adapters.runners.submission import PoolRunnerClient, PushRunnerClient, QueueRunnerClient
from adapters.telemetry.tracing import TracedAppender, TracedEventQueue, TracedRunnerClient
from api.config import ApiConfig
from api.dependencies import ApiParts
from api.sessions import Sessions
from domain.context.tracer import Tracer
from domain.identifiers import TaskId
from domain.log.capacity import LogCapacity
from domain.log.filter import EventFilter
from domain.ports.dispatch import RunnerClient
from domain.ports.lock_view import GrantView, LockView
from domain.ports.log import Appender
from domain.ports.outputs import Outputs
from domain.ports.queues import Due, DueQueue, EventQueue
from domain.runners.attempt_token import AttemptTokens, JobTokens
from domain.runners.heartbeat_validation import BeatFeed
from domain.services.dead_letters import DISPATCH, DeadLetterService
from domain.services.task_commands import TaskCommands
from domain.services.task_findings import TaskFindings
from domain.services.task_reports import TaskReports
from domain.services.workspaces import WorkspaceService
from infra.config.own_hosts import own_hosts
from infra.config.private_files import private_directory
from infra.config.settings import Settings
from infra.documents import CONTRACTS
from infra.nats.accounts import LOG_CONSUMERS
from infra.nats.capacity_bounds import log_capacity
from infra.nats.connection import connect, server_urls, server_version
from infra.nats.consumers import CONSUMERS
from infra.nats.streams import ensure_streams
from infra.telemetry.otel_tracer import open_tracer
from projections import lock_waits, question_expiry, retries
from projections.attempt_timer import KIND as ATTEMPT_TIMER
from projections.checkpoint_signer import CheckpointSigner
from projections.dispatch import ACTED_ON, Dispatch, DispatchConfig
from projections.heartbeat_quarantine import HeartbeatQuarantine
from projections.lock_view import FoldedLockView
from projections.lock_waits import LockWaits
from projections.locks import LockProjection
from projections.question_expiry import QuestionExpiry
from projections.read_model import ReadModelProjection
from projections.retries import Retries
from projections.time_travel import TimeTravel
from projections.watchdog import Watchdog

log = structlog.get_logger(__name__)


def new_id() -> str:
    """A fresh UUIDv7."""
    return str(uuid7())


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


def push_client() -> httpx.AsyncClient:
    """HTTP client for the push runner; ignores proxies of the environment, which would see its token."""
    return httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context())


@dataclass(frozen=True, slots=True)
class Core:
    """Connections and adapters that every process of the control plane shares."""

    settings: Settings
    connection: Client
    api: JetStreamApi
    appender: Appender[Message]
    events: JetStreamEvents
    tasks: LogTaskStore
    reader: JetStreamLogReader
    engine: AsyncEngine
    read_model: SqlReadModel
    snapshots: SqlSnapshots
    cipher: AesGcmEnvCipher
    tokens: AttemptTokens
    job_tokens: JobTokens
    sessions: Sessions
    dead_letters: JetStreamDeadLetters
    heartbeats: JetStreamHeartbeats
    tracer: Tracer | None

    def commands(self, view: LockView, capacity: LogCapacity | None = None) -> TaskCommands:
        """The service for operator commands on tasks."""
        return TaskCommands(self.tasks, now, view, self.cipher, capacity)

    def reports(self, grants: GrantView) -> TaskReports:
        """The service for runners' reports on tasks."""
        return TaskReports(self.tasks, now, grants)

    def findings(self) -> TaskFindings:
        """The service for what the control plane finds out about tasks, such as a lost runner."""
        return TaskFindings(self.tasks, now)

    def capacity(self) -> MeasuredCapacity:
        """Measures the log's capacity; the caller must run it."""
        return log_capacity(self.settings, self.api)


@asynccontextmanager
async def open_core(
    settings: Settings, name: str, *, needs_database: bool = True, settle_seconds: float = SETTLE_SECONDS
) -> AsyncIterator[Core]:
    """Connect, create or check the streams, open the read model.

    Without `needs_database`, an unavailable or damaged database is only logged. An append without an answer
    is given up after `settle_seconds`.
    """
    private_directory(settings.data_dir)
    async with AsyncExitStack() as stack:
        tracer = open_tracer(settings, name)
        if tracer is not None:
            stack.push_async_callback(asyncio.to_thread, tracer.close)
        connection = await connect(settings, name)
        stack.push_async_callback(connection.close)
        await ensure_streams(connection, settings.nats_replicas, settings.log_max_bytes)
        engine = open_database(settings.read_model_url)
        stack.push_async_callback(engine.dispose)
        try:
            with translated():
                await create_tables(engine)
        except DatabaseUnreachable as error:
            if needs_database:
                raise
            log.warning("going on without snapshots", error=error.detail)
        api = JetStreamApi(connection)
        grouping = WHERE_SYNCED if settings.nats_sync_interval == "always" else WHERE_NOT_SYNCED
        single = SingleAppender(connection, api, settle_seconds=settle_seconds)
        grouped = GroupAppender(connection, single, new_id, grouping)
        stack.push_async_callback(grouped.close)
        appender: Appender[Message] = LoggingAppender(grouped) if settings.log_level == "debug" else grouped
        if tracer is not None:
            appender = TracedAppender(appender, tracer)
        keys, events = settings.secret_keys(), JetStreamEvents(api)
        yield Core(
            settings=settings,
            connection=connection,
            api=api,
            appender=appender,
            events=events,
            tasks=LogTaskStore(events, appender, new_id, TaskCache(settings.task_cache)),
            reader=JetStreamLogReader(connection, api),
            engine=engine,
            read_model=SqlReadModel(engine),
            snapshots=SqlSnapshots(engine),
            cipher=AesGcmEnvCipher(*keys),
            tokens=AttemptTokens(*keys),
            job_tokens=JobTokens(*keys),
            sessions=Sessions(*keys),
            dead_letters=JetStreamDeadLetters(connection),
            heartbeats=JetStreamHeartbeats(connection, settings.lease_terms),
            tracer=tracer,
        )


def api_parts(
    core: Core,
    view: FoldedLockView,
    http: httpx.AsyncClient,
    readiness: Callable[[], Awaitable[dict[str, str]]],
    capacity: LogCapacity,
    outputs: Outputs,
) -> ApiParts:
    """Everything that the routes call; `http` calls the push runner, if one is configured."""
    settings = core.settings
    reports, commands = core.reports(view), core.commands(view, capacity)
    handlers = {
        DISPATCH: dispatcher(core, view, http).handle,
        retries.CONSUMER: Retries(commands, JetStreamTimers(core.connection)).plan,
    }
    audit_records = JetStreamAuditRecords(core.connection)
    callback, previous = settings.api_runner_callback_token, settings.api_runner_callback_token_previous
    queues = [Queue(one.figure, one.stream, one.name) for one in CONSUMERS]
    return ApiParts(
        commands=commands,
        reports=reports,
        workspaces=WorkspaceService(
            AppenderWorkspaceLog(core.events.last_registration, core.appender, new_id), view, now, capacity
        ),
        log=core.reader,
        view=view,
        past=TimeTravel(core.reader, core.snapshots),
        read_model=core.read_model,
        heartbeats=core.heartbeats,
        backlogs=JetStreamBacklogs(core.connection, queues, core.read_model),
        dead_letters=core.dead_letters,
        dead_letter_service=DeadLetterService(
            core.dead_letters, reports, core.reader, handlers, audit_records, now
        ),
        checkpoints=JetStreamLogCheckpoints(core.connection),
        checkpoint_keys=lambda: public_texts(settings.checkpoint_keys(make=False)),
        audit_records=audit_records,
        tokens=core.tokens,
        job_tokens=core.job_tokens,
        sessions=core.sessions,
        clock=now,
        new_task_id=lambda: TaskId(new_id()),
        readiness=readiness,
        nats_version=lambda: server_version(core.connection),
        nats_urls=tuple(server_urls(settings)),
        config=ApiConfig(
            operator_tokens=settings.operator_tokens(),
            callback_token=callback.get_secret_value() if callback else None,
            max_requests=settings.max_requests,
            max_streams=settings.max_streams,
            submit_deadline_seconds=settings.submit_deadline_seconds,
            hosts=own_hosts(settings, settings.host),
            callback_token_previous=previous.get_secret_value() if previous else None,
        ),
        contracts=CONTRACTS,
        lease=settings.lease_terms,
        outputs=outputs,
        capacity=capacity,
        tracer=core.tracer,
    )


@asynccontextmanager
async def open_outputs(settings: Settings) -> AsyncIterator[Outputs]:
    """Asks runners for output. It has its own connections, since ranges are large."""
    connection = await connect(settings, "towpath-output")
    try:
        async with push_client() as http:
            push = None
            if settings.host_runner_url is not None:
                token = settings.runner_token.get_secret_value() if settings.runner_token else None
                push = PushOutputs(http, settings.host_runner_url, token)
            yield PoolOutputs(NatsOutputs(connection), push)
    finally:
        await connection.close()


def dispatcher(core: Core, grants: GrantView, http: httpx.AsyncClient) -> Dispatch:
    """Submits attempts to runners: in the projector, and in an API when an operator replays a dead letter."""
    settings = core.settings
    push = None
    if settings.host_runner_url is not None:
        token = settings.runner_token.get_secret_value() if settings.runner_token else None
        push = PushRunnerClient(http, settings.host_runner_url, token)
    deadline = settings.submit_deadline_seconds
    runners: RunnerClient = PoolRunnerClient(QueueRunnerClient(core.connection, 2 * deadline), push)
    if core.tracer is not None:
        runners = TracedRunnerClient(runners, core.tracer)
    return Dispatch(
        core.findings(),
        grants,
        runners,
        JetStreamTimers(core.connection),
        core.cipher,
        core.tokens,
        core.job_tokens,
        DispatchConfig(
            settings.callback_base,
            timedelta(seconds=deadline),
            settings.lease_terms.lost_after,
            settings.job_api_url,
        ),
    )


@dataclass(frozen=True, slots=True)
class ProcessManagers:
    """The process managers of one projector process."""

    core: Core
    view: FoldedLockView
    """Must run beside `dispatch` and the deadlines: knows the void grants and each workspace's policy."""
    dispatch: Dispatch
    events: EventQueue
    retries: Retries
    ends: EventQueue
    """Of attempts, for `retries`."""
    capacity: MeasuredCapacity
    """Must run beside the deadlines: a retry begins only where the log has room."""
    deadlines: dict[str, Callable[[Due], Awaitable[None]]]
    """By kind, what handles a deadline that came due."""
    beats: BeatFeed
    quarantine: HeartbeatQuarantine
    sweep: ConsumerSweep

    def due(self, kind: str) -> DueQueue:
        """The queue of the deadlines of one kind."""
        return JetStreamDueQueue(self.core.connection, self.core.dead_letters, kind)


@asynccontextmanager
async def open_checkpoint_signer(core: Core) -> AsyncIterator[CheckpointSigner]:
    """The checkpoint signer. It has its own connection, since it reads the whole log as bytes."""
    settings = core.settings
    connection = await connect(settings, "towpath-checkpoint-signer")
    signer, trusted = parse_keys(settings.checkpoint_keys())
    try:
        yield CheckpointSigner(
            RawLog(connection),
            JetStreamLogCheckpoints(connection),
            signer,
            trusted,
            now,
            settings.checkpoint_events,
            settings.checkpoint_seconds,
        )
    finally:
        await connection.close()


def lock_projection(core: Core) -> LockProjection:
    """The lock projection, which appends grants and releases."""
    return LockProjection(core.reader, AppenderLockLog(core.appender, new_id), core.snapshots, now)


def read_model_projection(core: Core) -> ReadModelProjection:
    """The projection that fills the read model."""
    return ReadModelProjection(core.reader, core.read_model)


def _events(core: Core, name: str, wanted: Sequence[EventFilter]) -> EventQueue:
    events: EventQueue = JetStreamEventQueue(core.connection, core.dead_letters, name, wanted)
    return TracedEventQueue(events, core.tracer, name) if core.tracer is not None else events


def process_managers(core: Core, http: httpx.AsyncClient) -> ProcessManagers:
    """Build the process managers; `http` calls the push runner, if one is configured."""
    settings = core.settings
    view = FoldedLockView(core.reader, core.snapshots)
    timers, terms = JetStreamTimers(core.connection), settings.lease_terms
    watchdog = Watchdog(core.findings(), core.heartbeats, view, timers, terms)
    capacity = core.capacity()
    again = Retries(core.commands(view, capacity), timers)
    return ProcessManagers(
        core=core,
        view=view,
        dispatch=dispatcher(core, view, http),
        events=_events(core, DISPATCH, ACTED_ON),
        retries=again,
        ends=_events(core, retries.CONSUMER, retries.ACTED_ON),
        capacity=capacity,
        deadlines={
            ATTEMPT_TIMER: watchdog.handle,
            lock_waits.KIND: LockWaits(core.findings(), core.reader).handle,
            question_expiry.KIND: QuestionExpiry(core.findings(), timers).handle,
            retries.KIND: again.handle,
        },
        beats=CoreBeatFeed(core.connection),
        quarantine=HeartbeatQuarantine(core.dead_letters),
        sweep=ConsumerSweep(core.connection, LOG_CONSUMERS),
    )
