"""Reads of stream TOWPATH: the events of one task, in few bounded requests, and a workspace's last one."""

from __future__ import annotations

import asyncio

from adapters.codec import filter_of
from adapters.jetstream_api import JetStreamApi, LogUnreachable
from domain.log import Recorded

SUBJECTS_AT_MOST = 32
READ_TRIES = 4
LAG_SECONDS = 0.01


class JetStreamEvents:
    """`TaskEvents`, and what `AppenderWorkspaceLog` asks."""

    def __init__(self, api: JetStreamApi) -> None:
        self._api = api

    async def all(self, task_id: str) -> list[Recorded]:
        """First the last event of each subject, where the leader answers: of a first attempt that is all.

        Else the leader's last event says how many there are, and exactly those are read.

        Raises:
            LogUnreachable: the leader or enough of the events could not be read.
        """
        subject = filter_of("task", task_id)
        newest = [raw.decoded() for raw in await self._api.last_of_each(subject, SUBJECTS_AT_MOST) or ()]
        if newest and newest[-1].version == len(newest):
            return newest
        last = newest[-1] if newest else await self._last(subject)
        return [*(await self._before(subject, last)), last] if last else []

    async def count(self, task_id: str) -> int:
        """As the leader has it. Raises LogUnreachable."""
        return await self._api.count(filter_of("task", task_id))

    async def last_registration(self, workspace: str) -> Recorded | None:
        """The last registration event of a workspace, from the leader. Raises LogUnreachable."""
        last = await self._api.last(filter_of("workspace", workspace))
        return last.decoded() if last else None

    async def _last(self, subject: str) -> Recorded | None:
        raw = await self._api.last(subject)
        if raw is not None:
            return raw.decoded()
        if await self._api.count(subject) == 0:
            return None
        raise LogUnreachable("the log's replicas do not agree yet whether this task exists")

    async def _before(self, subject: str, last: Recorded) -> list[Recorded]:
        """All events before `last`: at once from any replica, one by one from the leader where those lag."""
        wanted = last.version - 1
        for number in range(READ_TRIES):
            raw = await self._api.batch(subject, 1, wanted)
            if len(raw) == wanted:
                return [message.decoded() for message in raw]
            await asyncio.sleep(LAG_SECONDS * 2**number)
        found: list[Recorded] = []
        while len(found) < wanted:
            message = await self._api.next(subject, found[-1].seq + 1 if found else 1)
            if message is None:
                raise LogUnreachable(f"only {len(found)} of {last.version} events of a task could be read")
            found.append(message.decoded())
        return found
