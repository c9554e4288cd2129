"""Reads a task's events, or a workspace's last one, in few bounded requests."""

from __future__ import annotations

import asyncio

from adapters.event_store.codec import decoded, filter_of
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from domain.backoff import Backoff
from domain.identifiers import TaskId, WorkspaceId
from domain.log.record import Recorded

SUBJECTS_AT_MOST = 32
READ_TRIES = 4
LAG = Backoff(first_seconds=0.01)


class JetStreamEvents:
    """Implements `TaskEvents`, and the read that `AppenderWorkspaceLog` needs."""

    def __init__(self, api: JetStreamApi) -> None:
        self._api = api

    async def all(self, task_id: TaskId) -> list[Recorded]:
        """All events of a task; a linearizable read.

        Without replicas only the leader can answer, and the last event of each subject is read; within a
        first attempt those are all events. With replicas the leader tells how many events there are, together
        with a proof of its majority, and exactly that many are read.

        Raises:
            LogUnreachable: the leader did not answer, or too few of the events could be read.
        """
        subject = filter_of("task", task_id)
        newest = [decoded(raw) for raw in await self._api.last_of_each(subject, SUBJECTS_AT_MOST) or ()]
        if not newest:
            return await self._first(await self._api.count(subject), subject)
        last = newest[-1]
        # each event has another subject, so nothing is hidden behind a newer one
        if last.version == len(newest):
            return newest
        return [*(await self._first(last.version - 1, subject)), last]

    async def count(self, task_id: TaskId) -> int:
        """The number of a task's events, from the leader. Raises LogUnreachable."""
        return await self._api.count(filter_of("task", task_id))

    async def last_registration(self, workspace: WorkspaceId) -> Recorded | None:
        """The last registration event of a workspace, from the leader. Raises LogUnreachable."""
        last = await self._api.last(filter_of("workspace", workspace))
        return decoded(last) if last else None

    async def _first(self, wanted: int, subject: str) -> list[Recorded]:
        """The first `wanted` events: as a batch from any replica, or singly from the leader if that lags."""
        for pause in LAG.pauses(READ_TRIES if wanted else 0):
            raw = await self._api.batch(subject, 1, wanted)
            if len(raw) == wanted:
                return [decoded(message) for message in raw]
            await asyncio.sleep(pause)
        found: list[Recorded] = []
        while len(found) < wanted:
            message = await self._api.next(subject, found[-1].seq + 1 if found else 1)
            if message is None:
                raise LogUnreachable(f"only {len(found)} of {wanted} events of a task could be read")
            found.append(decoded(message))
        return found
