"""Appends lock facts and workspace registrations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from adapters.event_store.codec import Message, encode
from domain.context.trace import current_traceparent
from domain.identifiers import LOG_START, WorkspaceId
from domain.locks.claims import FIRST_CHAIN, LockFact
from domain.log.events import EventData, OnRunnerLost, RegisteredData, RemovedData
from domain.log.record import Recorded
from domain.ports.log import Appender


def lock_message(fact: LockFact, message_id: str, at: datetime, actor: str) -> Message:
    """The message that appends a lock fact, expecting the last one that its decider had folded."""
    return encode(
        "lock",
        fact.workspace,
        fact.event,
        fact.data,
        id=message_id,
        version=fact.version,
        at=at,
        actor=actor,
        expected_seq=fact.expected_seq,
        previous_chain=fact.previous_chain,
        traceparent=fact.traceparent,
    )


def registration_message(
    workspace: WorkspaceId,
    event: str,
    data: EventData,
    last: Recorded | None,
    message_id: str,
    at: datetime,
    actor: str,
) -> Message:
    """The message that appends a registration event, expecting `last`."""
    return encode(
        "workspace",
        workspace,
        event,
        data,
        id=message_id,
        version=last.version + 1 if last else 1,
        at=at,
        actor=actor,
        expected_seq=last.seq if last else LOG_START,
        previous_chain=last.chain if last else FIRST_CHAIN,
        traceparent=current_traceparent(),
    )


class AppenderLockLog:
    """Port `LockLog` on any log; it needs only an appender."""

    def __init__(self, appender: Appender[Message], new_id: Callable[[], str]) -> None:
        self._appender = appender
        self._new_id = new_id

    async def append_lock(self, fact: LockFact, *, at: datetime, actor: str) -> Recorded:
        """See the port."""
        message = lock_message(fact, self._new_id(), at, actor)
        return message.recorded(await self._appender.append(message))


class AppenderWorkspaceLog:
    """Port `WorkspaceLog` on any log, given an appender and a read of the last registration event."""

    def __init__(
        self,
        last: Callable[[WorkspaceId], Awaitable[Recorded | None]],
        appender: Appender[Message],
        new_id: Callable[[], str],
    ) -> None:
        self._last = last
        self._appender = appender
        self._new_id = new_id

    async def last_registration(self, workspace: WorkspaceId) -> Recorded | None:
        """See the port."""
        return await self._last(workspace)

    async def append_registered(
        self,
        workspace: WorkspaceId,
        last: Recorded | None,
        root: str,
        on_runner_lost: OnRunnerLost,
        *,
        at: datetime,
        actor: str,
    ) -> Recorded:
        """See the port."""
        data = RegisteredData(root=root, on_runner_lost=on_runner_lost, by=actor)
        return await self._append(workspace, "registered", data, last, at, actor)

    async def append_removed(
        self, workspace: WorkspaceId, last: Recorded, reason: str | None, *, at: datetime, actor: str
    ) -> Recorded:
        """See the port."""
        return await self._append(workspace, "removed", RemovedData(by=actor, reason=reason), last, at, actor)

    async def _append(
        self,
        workspace: WorkspaceId,
        event: str,
        data: EventData,
        last: Recorded | None,
        at: datetime,
        actor: str,
    ) -> Recorded:
        message = registration_message(workspace, event, data, last, self._new_id(), at, actor)
        return message.recorded(await self._appender.append(message))
