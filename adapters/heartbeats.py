"""Runners' heartbeats on TOWPATH_RUNNER, which keeps the last one of each and when it was stored."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from adapters.codec import EXPECTED_SEQ
from adapters.jetstream_api import JetStreamApi, LogUnreachable, RawMessage
from adapters.leadership import OUTLIVED_SECONDS
from adapters.publish import PUBLISH_SECONDS
from domain.heartbeat_check import ArrivedBeat, Fault, examine_beat
from domain.leases import check_counter
from domain.wire import Heartbeat

ALL = "towpath.runner.*"
MAX_RUNNERS = 10_000
READ_TRIES = 6
PUBLISH_TRIES = 4
LAG_SECONDS = 0.02
REMEMBERED = 1000


class JetStreamHeartbeats:
    """Port `Heartbeats`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection
        self._api = JetStreamApi(connection, "TOWPATH_RUNNER")
        # attempts end on what this says: a leader that was replaced must not have said it
        self._judged = JetStreamApi(connection, "TOWPATH_RUNNER", OUTLIVED_SECONDS)
        self._read_at: OrderedDict[str, tuple[float, tuple[Heartbeat, datetime] | None]] = OrderedDict()

    async def publish(self, heartbeat: Heartbeat) -> None:
        """See the port. Compared with the last one on the leader, so that two processes cannot swap them."""
        subject, body = f"towpath.runner.{heartbeat.runner_id}", heartbeat.model_dump_json().encode()
        for number in range(PUBLISH_TRIES):
            last = await self._api.last(subject)
            check_counter(heartbeat, _parse(last) if last is not None else None)
            expected = {EXPECTED_SEQ: str(last.seq if last is not None else 0)}
            try:
                await self._nc.jetstream().publish(
                    subject, body, timeout=PUBLISH_SECONDS, stream="TOWPATH_RUNNER", headers=expected
                )
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
                await asyncio.sleep(LAG_SECONDS * 2**number)
            else:
                return
        raise LogUnreachable("the heartbeat was not acknowledged")

    async def all(self) -> list[tuple[Heartbeat, datetime]]:
        """See the port. What is no heartbeat is passed over: any runner may publish there."""
        found = [
            (beat, datetime.fromisoformat(raw.headers["Nats-Time-Stamp"]))
            for raw in await self._read()
            if (beat := _parse(raw)) is not None
        ]
        return sorted(found, key=lambda one: one[0].runner_id)

    async def last(self, runner_id: str, within: float = 0.0) -> tuple[Heartbeat, datetime] | None:
        """See the port. The REMEMBERED runners asked for last are kept for `within`."""
        now = asyncio.get_running_loop().time()
        cached = self._read_at.get(runner_id)
        if cached is not None and now - cached[0] < within:
            return cached[1]
        raw = await self._judged.last(f"towpath.runner.{runner_id}")
        beat = _parse(raw) if raw is not None else None
        found = (beat, datetime.fromisoformat(raw.time)) if raw is not None and beat is not None else None
        self._read_at[runner_id] = (now, found)
        self._read_at.move_to_end(runner_id)
        if len(self._read_at) > REMEMBERED:
            self._read_at.popitem(last=False)
        return found

    async def _read(self) -> list[RawMessage]:
        """All last messages, none older than what the leader had when asked: a runner is judged on them."""
        last = await self._api.last(ALL)
        if last is None:
            return []
        for number in range(READ_TRIES):
            found = await self._api.batch(ALL, 1, MAX_RUNNERS)
            if found and found[-1].seq >= last.seq:
                return found
            await asyncio.sleep(LAG_SECONDS * 2**number)
        raise LogUnreachable("the replica that was asked lags behind the last heartbeat")


def _parse(raw: RawMessage) -> Heartbeat | None:
    """The heartbeat of the runner on whose subject it was stored, if it is one."""
    found = examine_beat(ArrivedBeat(raw.subject.removeprefix("towpath.runner."), raw.data, raw.subject))
    return None if isinstance(found, Fault) else found
