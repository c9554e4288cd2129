"""The harness of one log and its stores, in memory or on a real server: what contract suites run against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.client import Client

from adapters.event_store.appender import SETTLE_SECONDS, SingleAppender
from adapters.event_store.codec import Message
from adapters.event_store.group_appender import GroupAppender
from adapters.event_store.lock_and_workspace_log import AppenderLockLog, AppenderWorkspaceLog
from adapters.event_store.reading.event_reader import JetStreamEvents
from adapters.event_store.reading.log_reader import RETRY_SECONDS, JetStreamLogReader
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_store import LogTaskStore
from adapters.nats.jetstream_api import JetStreamApi
from domain.ports.log import Appender, LockLog, LogReader, TaskStore, WorkspaceLog
from tests.support.memory_store import MemoryEvents, MemoryLog, MemoryLogReader
from tests.support.messages import new_id


@dataclass(frozen=True)
class LogHarness:
    """All adapters of one log. `new_store` makes a further store with a cache of its own."""

    tasks: TaskStore
    locks: LockLog
    workspaces: WorkspaceLog
    reader: LogReader
    appender: Appender[Message]
    new_store: Callable[[], TaskStore]


def memory_harness() -> LogHarness:
    """A log in memory."""
    log = MemoryLog()
    return _harness(MemoryEvents(log), log, MemoryLogReader(log))


def jetstream_harness(
    connection: Client,
    *,
    grouped: bool,
    settle_seconds: float = SETTLE_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
) -> LogHarness:
    """The log on a server; `grouped` coalesces concurrent appends into atomic batches."""
    api = JetStreamApi(connection)
    single = SingleAppender(connection, api, settle_seconds=settle_seconds)
    appender: Appender[Message] = GroupAppender(connection, single, new_id) if grouped else single
    reader = JetStreamLogReader(connection, api, retry_seconds=retry_seconds)
    return _harness(JetStreamEvents(api), appender, reader)


def _harness(
    events: MemoryEvents | JetStreamEvents, appender: Appender[Message], reader: LogReader
) -> LogHarness:
    def new_store() -> TaskStore:
        return LogTaskStore(events, appender, new_id, TaskCache(100))

    return LogHarness(
        new_store(),
        AppenderLockLog(appender, new_id),
        AppenderWorkspaceLog(events.last_registration, appender, new_id),
        reader,
        appender,
        new_store,
    )
