"""Dependencies of the routes, as one object that the composition root builds.

The API holds no state except bounded caches; it gets everything else from here, so the same routes run on
JetStream and SQL or in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.config import CONSOLE_BUNDLE, ApiConfig
from api.sessions import Sessions
from domain.context.tracer import Tracer
from domain.identifiers import TaskId
from domain.log.capacity import AmpleCapacity, LogCapacity
from domain.ports.evidence import AuditRecords, LogCheckpoints
from domain.ports.lock_view import LockView
from domain.ports.log import Clock, LogReader
from domain.ports.notices import NoticeHistory
from domain.ports.outputs import NoOutputs, Outputs
from domain.ports.queues import Backlogs
from domain.ports.read_model import ReadModel
from domain.ports.runners import Heartbeats
from domain.ports.time_travel import Past
from domain.runners.attempt_token import AttemptTokens, JobTokens
from domain.runners.liveness import LeaseTerms
from domain.services.dead_letters import DeadLetters, DeadLetterService
from domain.services.task_commands import TaskCommands
from domain.services.task_reports import TaskReports
from domain.services.workspaces import WorkspaceService


@dataclass(frozen=True, slots=True)
class ApiParts:
    """Use cases, readers and settings.

    `checkpoint_keys`: the public keys of checkpoints by id, as far as they are known here. `console`: the
    directory of the console's bundle, which may be missing. `nats_urls`: the servers that this process uses,
    without users. `new_task_id` makes a UUIDv7 string. `readiness` returns "ok" or a fault for each part.
    `lease` defines when a runner counts as suspected and lost. `notices`: what was told; None
    where no notifier is configured.
    """

    commands: TaskCommands
    reports: TaskReports
    workspaces: WorkspaceService
    log: LogReader
    view: LockView
    past: Past
    read_model: ReadModel
    heartbeats: Heartbeats
    backlogs: Backlogs
    dead_letters: DeadLetters
    dead_letter_service: DeadLetterService
    checkpoints: LogCheckpoints
    checkpoint_keys: Callable[[], Mapping[str, str]]
    audit_records: AuditRecords
    tokens: AttemptTokens
    job_tokens: JobTokens
    sessions: Sessions
    clock: Clock
    new_task_id: Callable[[], TaskId]
    readiness: Callable[[], Awaitable[dict[str, str]]]
    nats_version: Callable[[], str | None]
    config: ApiConfig
    contracts: Path
    lease: LeaseTerms
    nats_urls: tuple[str, ...] = ()
    outputs: Outputs = field(default_factory=NoOutputs)
    console: Path = CONSOLE_BUNDLE
    capacity: LogCapacity = field(default_factory=AmpleCapacity)
    tracer: Tracer | None = None
    notices: NoticeHistory | None = None
