"""Fills the log with whole lives by atomic batches, as fast as a past can be written.

A batch never holds two messages of one filter, so a life goes in five waves of many lives at once, each
life in a workspace of its own. Every message is what the product itself would have appended: same
encoding, chain, compare-and-set. Nothing else may append to these tasks and workspaces meanwhile.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from nats.aio.client import Client

from adapters.event_store.codec import Message, encode
from domain.locks.claims import FIRST_CHAIN
from domain.log.events import (
    CreatedData,
    DispatchedData,
    EventData,
    GrantedData,
    Kind,
    QueuedData,
    RegisteredData,
    ReleasedData,
    RunningData,
    SucceededData,
)
from infra.composition import new_id, now
from tests.bench.harness import POOL

EVENTS_PER_LIFE = 7
BATCH = 200
COMMIT_SECONDS = 60.0
ACTOR = "bench"


@dataclass(slots=True)
class Line:
    """One filter of the log, and its last event."""

    kind: Kind
    id: str
    seq: int = 0
    version: int = 0
    chain: str = FIRST_CHAIN

    def message(self, event: str, data: EventData) -> Message:
        self.version += 1
        message = encode(
            self.kind, self.id, event, data,
            id=new_id(), version=self.version, at=now(), actor=ACTOR,
            expected_seq=self.seq, previous_chain=self.chain,
        )  # fmt: skip
        self.chain = message.headers["ce-chain"]
        return message


Entry = tuple[Line, str, EventData]


class History:
    """Writes lives into workspaces `<prefix>-0`, `<prefix>-1`, …, which `register` makes."""

    def __init__(self, connection: Client, prefix: str, workspaces: int = BATCH // 2) -> None:
        self._nc = connection
        self.workspaces = [f"{prefix}-{number}" for number in range(workspaces)]
        self._locks = [Line("lock", workspace) for workspace in self.workspaces]
        self._registered: list[int] = []
        self._seq = 0

    async def register(self) -> None:
        """Register all workspaces, under roots that do not exist."""
        lines = [Line("workspace", workspace) for workspace in self.workspaces]
        await self.commit([
            (line, "registered", RegisteredData(root=_root(line.id), on_runner_lost="fail", by=ACTOR))
            for line in lines
        ])  # fmt: skip
        self._registered = [line.seq for line in lines]

    async def lives(self, count: int) -> list[str]:
        """Write `count` whole lives of EVENTS_PER_LIFE events; the ids of the tasks."""
        ids: list[str] = []
        while len(ids) < count:
            tasks = [Line("task", new_id()) for _ in range(min(len(self._locks), count - len(ids)))]
            await self._cohort(tasks)
            ids += [task.id for task in tasks]
        return ids

    async def open_tasks(self, count: int) -> list[str]:
        """Write `count` tasks without a workspace that wait for their runner; their ids."""
        ids: list[str] = []
        while len(ids) < count:
            tasks = [Line("task", new_id()) for _ in range(min(BATCH, count - len(ids)))]
            await self.commit([(task, "created", created_data(None)) for task in tasks])
            await self.commit([(task, "dispatched", _dispatched(None, None)) for task in tasks])
            ids += [task.id for task in tasks]
        return ids

    async def _cohort(self, tasks: Sequence[Line]) -> None:
        places = list(zip(tasks, self._locks, self._registered, strict=False))
        await self.commit([(task, "created", created_data(lock.id)) for task, lock, _ in places])
        first: list[Entry] = []
        for task, lock, registration in places:
            first.append((task, "dispatched", _dispatched(lock.id, registration)))
            first.append((lock, "granted", _granted(task.id, lock.id, self._seq + len(first))))
        await self.commit(first)
        await self.commit([
            (task, "queued", QueuedData(attempt=1, runner_id="bench", transport="nats")) for task in tasks
        ])  # fmt: skip
        await self.commit([
            (task, "running", RunningData(attempt=1, runner_id="bench", started_at=now(), pid=4242))
            for task in tasks
        ])  # fmt: skip
        last: list[Entry] = []
        for task, lock, _ in places:
            last.append((task, "succeeded", _succeeded()))
            last.append((lock, "released", _released(task.id, self._seq + len(last))))
        await self.commit(last)

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Append all as one atomic batch, at most BATCH of them."""
        batch_id = new_id()
        numbers = itertools.count(1)
        for line, event, data in entries:
            message = line.message(event, data)
            number = next(numbers)
            headers = {
                **message.publish_headers, "Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)
            }  # fmt: skip
            if number < len(entries):
                await self._nc.publish(message.append_subject, message.data, headers=headers)
        headers["Nats-Batch-Commit"] = "1"
        answer = await self._nc.request(
            message.append_subject, message.data, timeout=COMMIT_SECONDS, headers=headers
        )
        acknowledged = orjson.loads(answer.data)
        if acknowledged.get("count") != len(entries):
            raise RuntimeError(f"a batch of {len(entries)} was refused: {acknowledged}")
        self._seq = int(acknowledged["seq"])
        for behind, (line, _, _) in enumerate(reversed(entries)):
            line.seq = self._seq - behind


def _root(workspace: str) -> str:
    return f"/bench/{workspace}"


def created_data(workspace: str | None) -> EventData:
    """What a task of the bench is created with."""
    return CreatedData(
        title="bench", command=["true"], workspace=workspace, lock_paths=[], lock_mode="exclusive",
        execution_mode="shared-workspace" if workspace else "no-workspace", on_conflict="wait", pool=POOL,
        env={}, timeout_seconds=None, labels={},
    )  # fmt: skip


def _dispatched(workspace: str | None, registration: int | None) -> EventData:
    return DispatchedData(
        attempt=1, pool=POOL, workspace=workspace, root=_root(workspace) if workspace else None,
        registration_seq=registration, lock_paths=[], lock_mode="exclusive", on_conflict="wait", by=ACTOR,
    )  # fmt: skip


def _granted(task_id: str, workspace: str, seen_seq: int) -> EventData:
    root = _root(workspace)
    return GrantedData(task_id=task_id, attempt=1, root=root, paths=[], mode="exclusive", seen_seq=seen_seq)


def _succeeded() -> EventData:
    return SucceededData(
        attempt=1, runner_id="bench", exit_code=0, message=None, finished_at=now(), output_tail=None
    )


def _released(task_id: str, cause_seq: int) -> EventData:
    return ReleasedData(
        task_id=task_id, attempt=1, paths=[], cause="succeeded", cause_seq=cause_seq, by=ACTOR,
        seen_seq=cause_seq,
    )  # fmt: skip
