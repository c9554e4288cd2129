"""A harness with dispatchers, watchdogs and lock projection, and what reached the pools' queues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import orjson
from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.timers import JetStreamTimers
from adapters.queues.work_queue import POLICY, JetStreamDueQueue, JetStreamEventQueue, QueuePolicy
from adapters.runners.heartbeats import JetStreamHeartbeats
from adapters.runners.submission import PoolRunnerClient, PushRunnerClient, QueueRunnerClient
from domain.ports.dispatch import RunnerClient
from domain.runners.attempt_token import AttemptTokens, JobTokens
from domain.runners.liveness import LeaseTerms
from domain.services.task_commands import TaskCommands
from domain.task.spec import TaskSpec
from projections import lock_waits, question_expiry, retries
from projections.attempt_timer import KIND
from projections.dispatch import ACTED_ON, Dispatch, DispatchConfig
from projections.lock_waits import LockWaits
from projections.question_expiry import QuestionExpiry
from projections.retries import Retries
from projections.watchdog import Watchdog
from tests.integration.projections.harness import ProjectionHarness
from tests.support.messages import new_id
from tests.support.nats import api

TOKENS = AttemptTokens(b"secret")
JOB_TOKENS = JobTokens(b"secret")


class DispatchHarness(ProjectionHarness):
    """`deadline_seconds` from the grant until somebody must have taken an attempt."""

    deadline_seconds = 30.0
    terms = LeaseTerms(timedelta(seconds=15), timedelta(seconds=5))
    push: RunnerClient | None = None
    policy: QueuePolicy = POLICY

    def __init__(self, connection: Client) -> None:
        super().__init__(connection)
        self._queued = JetStreamApi(connection, "TOWPATH_SUBMIT")
        self.heartbeats = JetStreamHeartbeats(connection)
        self.timers = JetStreamTimers(connection)

    def dispatcher(self, runners: RunnerClient | None = None) -> Dispatch:
        return Dispatch(
            self.findings,
            self.view,
            runners or PoolRunnerClient(QueueRunnerClient(self.connection, 60.0), self.push),
            self.timers,
            self.cipher,
            TOKENS,
            JOB_TOKENS,
            DispatchConfig(
                "http://control:8000", timedelta(seconds=self.deadline_seconds), self.terms.lost_after
            ),
        )

    def queue(self) -> JetStreamEventQueue:
        return JetStreamEventQueue(
            self.connection, JetStreamDeadLetters(self.connection), "dispatch", ACTED_ON, self.policy
        )

    def start(self) -> None:
        """One of each."""
        self.run(self.projector().run())
        self.run(self.dispatcher().run(self.queue()))
        self.run(self.due().consume(self.watchdog().handle))
        self.run(self.due(lock_waits.KIND).consume(self.lock_waits().handle))
        self.run(self.due(question_expiry.KIND).consume(self.question_expiry().handle))

    def watchdog(self) -> Watchdog:
        """One more watchdog."""
        return Watchdog(self.findings, self.heartbeats, self.view, self.timers, self.terms)

    def lock_waits(self) -> LockWaits:
        """What ends waits for a lock."""
        return LockWaits(self.findings, self.log.reader)

    def question_expiry(self) -> QuestionExpiry:
        """What answers questions whose time is over."""
        return QuestionExpiry(self.findings, self.timers)

    def retries(self, commands: TaskCommands | None = None) -> Retries:
        """One more process manager that begins next attempts."""
        return Retries(commands or self.commands, self.timers)

    def ends(self) -> JetStreamEventQueue:
        """The ends of attempts, which process managers share."""
        letters = JetStreamDeadLetters(self.connection)
        return JetStreamEventQueue(self.connection, letters, retries.CONSUMER, retries.ACTED_ON, self.policy)

    def start_retries(self) -> None:
        """One of what begins next attempts."""
        self.run(self.ends().consume(self.retries().plan))
        self.run(self.due(retries.KIND).consume(self.retries().handle))

    def due(self, kind: str = KIND) -> JetStreamDueQueue:
        """What the handlers of one kind of deadline share."""
        return JetStreamDueQueue(self.connection, JetStreamDeadLetters(self.connection), kind, self.policy)

    async def submissions(self, pool: str = "default") -> list[dict[str, Any]]:
        """What lies on a pool's queue."""
        state = (await api(self.connection, "STREAM.INFO.TOWPATH_SUBMIT"))["state"]
        if not state["messages"]:
            return []
        found = [await self._queued.get(seq) for seq in range(state["first_seq"], state["last_seq"] + 1)]
        return [orjson.loads(one.data) for one in found if one and one.subject == f"towpath.submit.{pool}"]

    async def armed(self) -> list[str]:
        """Subjects of the deadlines that have not come due."""
        info = await api(
            self.connection, "STREAM.INFO.TOWPATH_TIMER", {"subjects_filter": "towpath.timer.at.>"}
        )
        return sorted(info["state"].get("subjects") or {})

    async def status(self, task_id: str) -> tuple[str, str | None]:
        """Status and reason."""
        task = (await self.commands.read(task_id)).task
        return task.status.value, task.reason

    async def status_is(
        self, task_id: str, status: str, reason: str | None = None, *, granted: bool = False
    ) -> bool:
        """Whether status and reason are these, and, if asked, whether the attempt holds its lock."""
        task = (await self.commands.read(task_id)).task
        held = not granted or self.view.lock_of(task).state == "held"
        return held and (task.status.value, task.reason) == (status, reason)

    async def create_plain(self, **spec: Any) -> str:
        """A dispatched task without a workspace."""
        task_id = new_id()
        await self.commands.create(task_id, TaskSpec(command=["make", "all"], **spec), "operator:ann")
        await self.commands.dispatch(task_id, "operator:ann")
        return task_id


@asynccontextmanager
async def dispatch_harness(connection: Client, push_url: str | None = None) -> AsyncIterator[DispatchHarness]:
    """With workspace `acme`; pool `default` is pushed to `push_url` if given."""
    async with httpx.AsyncClient() as http, DispatchHarness(connection) as harness:
        if push_url is not None:
            harness.push = PushRunnerClient(http, push_url, "runner-secret")
        await harness.register()
        yield harness
