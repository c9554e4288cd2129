"""The notifier on a real log, with a real state and receivers `ops` and `log`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from adapters.notices.history import SqlNoticeHistory
from adapters.notices.store import SqlNoticeState
from domain.notices.rules import Rule
from infra.nats.embedded_server import EmbeddedNats
from projections.notices.notifier import Notifier
from tests.integration.projections.harness import ProjectionHarness
from tests.integration.projections.notices.harness import (
    NotifierParts,
    open_state_database,
    sqlite_url,
)
from tests.support.http.webhook_receiver import Receiver, receiving
from tests.support.messages import new_id
from tests.support.waiting import eventually

DEADLINE = 60.0


class NoticeHarness(ProjectionHarness):
    """A control plane with two receivers, `ops` and `log`, and the notifier's state."""

    parts: NotifierParts
    ops: Receiver
    log_receiver: Receiver
    state: SqlNoticeState
    nats_url: str
    database_url: str
    stack: AsyncExitStack
    notifiers: list[tuple[Notifier, asyncio.Task[None]]]

    @property
    def history(self) -> SqlNoticeHistory:
        """What people see of the state."""
        return SqlNoticeHistory(self.state._engine)

    async def work(self, *rules: Rule, state: SqlNoticeState | None = None, **options: float) -> Notifier:
        """Run a notifier, and wait until it follows the log."""
        state = state or self.state
        notifier = self.start(self.parts.notifier(state, rules, **options))
        await eventually(lambda: self.works(state), DEADLINE)
        return notifier

    def start(self, notifier: Notifier) -> Notifier:
        """Run a notifier to the end of the test."""
        self.notifiers.append((notifier, self.run(notifier.run())))
        return notifier

    async def close_notifiers(self) -> None:
        """End them in order, as their process would."""
        for notifier, _ in self.notifiers:
            notifier.close()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(task for _, task in self.notifiers))

    @staticmethod
    async def works(state: SqlNoticeState) -> bool:
        """Whether this notifier works, and has begun."""
        first = await state.standing()
        if first.owner != state.owner:
            return False

        async def beats() -> bool:
            return await state.standing() != first

        await eventually(beats, DEADLINE)
        return True

    async def other_state(self, owner: str) -> SqlNoticeState:
        """The state as another notifier sees it."""
        engine = await open_state_database(self.database_url)
        self.stack.push_async_callback(engine.dispose)
        return SqlNoticeState(engine, owner)

    async def fail(self, **spec: Any) -> str:
        """A task that fails."""
        task_id = await self.dispatch(new_id(), **spec)
        await self.granted(task_id)
        await self.report(task_id, "running")
        await self.report(task_id, "failed")
        return task_id

    async def granted(self, task_id: str) -> None:
        """Wait until the task holds its lock."""

        async def held() -> bool:
            read = await self.log.tasks.load(task_id)
            return read is not None and self.view.lock_of(read.task).state == "held"

        await eventually(held, DEADLINE)


@pytest.fixture
async def notices(
    js_connection: Client, nats_server: EmbeddedNats, tmp_path: Path
) -> AsyncIterator[NoticeHarness]:
    """With workspace `acme`, and a lock projection."""
    async with AsyncExitStack() as stack:
        ops = await stack.enter_async_context(receiving())
        log = await stack.enter_async_context(receiving())
        running = NoticeHarness(js_connection)
        running.ops, running.log_receiver = ops, log
        running.nats_url, running.database_url = nats_server.control_url, sqlite_url(tmp_path)
        running.stack, running.notifiers = stack, []
        running.state = await running.other_state("one")
        running.parts = NotifierParts(
            js_connection, running.log, running.view, {"ops": ops.url, "log": log.url}
        )
        stack.push_async_callback(running.parts.close)
        await stack.enter_async_context(running)
        await running.register()
        running.run(running.projector().run())
        yield running
        await running.close_notifiers()


async def told(receiver: Receiver, *names: str) -> None:
    """Wait until exactly these were told, in this order."""

    def all_told() -> None:
        assert receiver.names() == list(names)

    await eventually(lambda: all_told() or True, DEADLINE)
