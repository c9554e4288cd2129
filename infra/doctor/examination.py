"""The examination that all checks share: one connection, its readers, and the current lock table.

The doctor changes nothing. It opens the read model as it is and creates no tables, streams or consumers: what
is missing is a finding.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.nats.jetstream_api import JetStreamApi
from adapters.read_model.database import open_database
from adapters.read_model.snapshots import SqlSnapshots
from adapters.read_model.store import SqlReadModel
from adapters.runners.heartbeats import JetStreamHeartbeats
from domain.identifiers import LogSeq, WorkspaceId
from domain.locks.table import LockTable
from domain.log.record import Recorded
from domain.ports.log import Clock
from infra.config.settings import Settings
from projections.folding.snapshots import take_up

_SNAPSHOTS = (("locks", None), ("view", "locks"))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the doctor waits for what would come by itself."""

    settle_seconds: float = 2.0
    """For a lock event that is due."""
    silent_seconds: float = 10.0
    """For the log to send anything."""
    asked_seconds: float = 3.0
    """For a process to pull from a consumer."""
    new_leader_seconds: float = 5.0
    """For a new leader to know the log's end."""


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class LockState:
    """The locks folded to the log's end. `due`: workspaces whose next lock event was due all the while."""

    table: LockTable
    due: list[WorkspaceId]


@dataclass(frozen=True, slots=True)
class Examination:
    """Settings, connection and readers that all checks share."""

    settings: Settings
    connection: Client
    log: JetStreamApi
    reader: JetStreamLogReader
    read_model: SqlReadModel
    snapshots: SqlSnapshots
    heartbeats: JetStreamHeartbeats
    now: Clock
    patience: Patience = PATIENCE

    async def ask(self, verb: str, body: Any = None) -> dict[str, Any]:
        """The response of `$JS.API.<verb>`; an API error is returned, not raised."""
        payload = b"" if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads(
            (await self.connection.request(f"$JS.API.{verb}", payload, timeout=5)).data
        )
        return answer

    async def event(self, seq: LogSeq) -> Recorded | None:
        """The event at `seq`."""
        found = await self.reader.at([seq])
        return found[0] if found else None

    async def locks(self) -> LockState:
        """Fold the locks from the nearest snapshot to the end; an event still due after a moment is late.

        Raises:
            TimeoutError: the log cannot be read in time.
            LogGap: a sequence is missing.
        """
        table = await self._restored()
        last = await self.reader.last_seq()
        clock = asyncio.get_running_loop()
        due: set[tuple[WorkspaceId, LogSeq]] = set()
        settled = False
        follow = self.reader.follow(table.seq)
        end = clock.time() + self.patience.settle_seconds
        while True:
            settling = table.seq >= last
            if settling:
                pending = {(workspace, table.last_seq(workspace)) for workspace in table.pending()}
                due, settled = (due & pending if settled else pending), True
                if not due:
                    break
            else:
                end = clock.time() + self.patience.settle_seconds
            try:
                silent = clock.time() + self.patience.silent_seconds
                async with asyncio.timeout_at(end if settling else silent):
                    batch = await anext(follow)
            except TimeoutError:
                if settling:
                    break
                raise
            for event in batch:
                table.fold(event)
        return LockState(table, sorted(workspace for workspace, _ in due))

    async def _restored(self) -> LockTable:
        for name, part in _SNAPSHOTS:
            saved = await take_up(self.snapshots, self.reader, name)
            if saved is not None:
                return LockTable.restore(saved[1] if part is None else saved[1][part])
        return LockTable()


@asynccontextmanager
async def examining(
    settings: Settings, connection: Client, now: Clock, patience: Patience = PATIENCE
) -> AsyncIterator[Examination]:
    """Opens what the checks need and closes the database afterwards; the caller closes the connection."""
    engine = open_database(settings.read_model_url)
    log = JetStreamApi(connection)
    try:
        yield Examination(
            settings,
            connection,
            log,
            JetStreamLogReader(connection, log),
            SqlReadModel(engine),
            SqlSnapshots(engine),
            JetStreamHeartbeats(connection),
            now,
            patience,
        )
    finally:
        await engine.dispose()
