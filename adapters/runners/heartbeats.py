"""Heartbeats on stream TOWPATH_RUNNER, which keeps the last few of each runner.

It keeps several because two runners may send under one id in turn: each attempt is judged by the heartbeats
of its own runner.
The goodbye of a runner that has left stays alone, for a while: an older one that comes late must
not follow it.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from adapters.event_store.codec import EXPECTED_SEQ
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable, RawMessage
from adapters.nats.leader_quorum import OUTLIVED_SECONDS
from adapters.nats.publish import PUBLISH_SECONDS
from domain import subjects
from domain.backoff import Backoff
from domain.errors import Busy, Refused
from domain.identifiers import RunnerId
from domain.protocol import Heartbeat
from domain.runners.heartbeat_validation import ArrivedBeat, Fault, examine_beat
from domain.runners.liveness import (
    Beat,
    LeaseTerms,
    check_counter,
    check_goodbye,
    check_instance,
    check_lost,
    present,
)
from domain.subjects import Stream

ALL = subjects.runner()
PAGE_MESSAGES = 10_000
NEW_RUNNERS_BELOW = 0.75
"""The part of the stream's limit above which new ids are refused, so that known runners stay heard."""
READ_TRIES = 6
PUBLISH_TRIES = 4
LAG = Backoff(first_seconds=0.02)
REMEMBERED = 1000
TRANSPORT, HTTP = "Towpath-Transport", "http"
"""Marks what the control plane stored for a runner that posts its heartbeats."""
LEFT_SECONDS = 300
"""How long a goodbye stays, or twice the time after which a runner is lost, if that is longer."""


class JetStreamHeartbeats:
    """Port `Heartbeats`."""

    def __init__(self, connection: Client, terms: LeaseTerms | None = None, *, lag: Backoff = LAG) -> None:
        """`terms`: how long an instance keeps its id; without them any instance may take it at any time.

        `lag`: the pauses in which a replica may catch up.
        """
        self._nc = connection
        self._terms = terms
        self._lag = lag
        lost_seconds = terms.lost_after.total_seconds() if terms is not None else 0.0
        self._left_seconds = max(LEFT_SECONDS, math.ceil(2 * lost_seconds))
        self._api = JetStreamApi(connection, Stream.RUNNER)
        # reads that end attempts must not be answered by a deposed leader
        self._judged = JetStreamApi(connection, Stream.RUNNER, OUTLIVED_SECONDS)
        self._read_at: OrderedDict[tuple[str, str | None], tuple[float, Beat | None]] = OrderedDict()

    async def publish(self, heartbeat: Heartbeat) -> None:
        """See the port. Compare-and-set on the last heartbeat keeps two processes from reordering them."""
        subject, body = subjects.runner(heartbeat.runner_id), heartbeat.model_dump_json().encode()
        for pause in self._lag.pauses(PUBLISH_TRIES):
            last = await self._api.last(subject)
            if last is None:
                await self._check_room()
            await self._check(heartbeat, _beat(last))
            if heartbeat.gone and last is not None:
                _check_transport(heartbeat, last)
            headers = {EXPECTED_SEQ: str(last.seq if last is not None else 0), TRANSPORT: HTTP}
            if heartbeat.gone:
                headers["Nats-TTL"] = f"{self._left_seconds}s"
            try:
                stored = await self._nc.jetstream().publish(
                    subject, body, timeout=PUBLISH_SECONDS, stream=Stream.RUNNER, headers=headers
                )
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
                await asyncio.sleep(pause)
                continue
            if heartbeat.gone:
                await self._api.purge(subject, stored.seq)
            return
        raise LogUnreachable("the heartbeat was not acknowledged")

    async def all(self) -> list[Beat]:
        """See the port. Invalid messages are skipped, since any runner may publish there."""
        return [beats[-1] for beats in (await self.recent()).values()]

    async def recent(self) -> dict[str, list[Beat]]:
        """See the port."""
        found: dict[str, list[Beat]] = {}
        for raw in await self._read():
            if (beat := _beat(raw)) is not None:
                found.setdefault(beat[0].runner_id, []).append(beat)
        return present(dict(sorted(found.items())))

    async def forget(
        self, runner_id: RunnerId, terms: LeaseTerms, check: Callable[[], Awaitable[None]]
    ) -> None:
        """See the port."""
        subject = subjects.runner(runner_id)
        raw = await self._judged.last(subject)
        now = datetime.fromisoformat((await self._judged.info())["ts"])
        check_lost(runner_id, _beat(raw), now, terms)
        assert raw is not None
        await check()
        await self._api.purge(subject, raw.seq + 1)

    async def fullness(self) -> float:
        """See the port."""
        info = await self._api.info()
        limit = info["config"].get("max_bytes", -1)
        return float(info["state"]["bytes"] / limit) if limit > 0 else 0.0

    async def complete(self, since: datetime) -> bool:
        """See the port. A stream that rejects what is too much discards only what a later one replaces.

        To a stream that was made anew, a living runner has sent a heartbeat since.
        """
        info = await self._judged.info()
        if info["config"].get("discard") != "new" or not info["state"]["messages"]:
            return False
        created = datetime.fromisoformat(info["created"])
        heard = timedelta.max if self._terms is None else self._terms.lost_after
        return created <= since or datetime.fromisoformat(info["ts"]) - created >= heard

    async def last(
        self, runner_id: RunnerId, within: float = 0.0, instance: str | None = None
    ) -> Beat | None:
        """See the port. The answers for the last REMEMBERED runners are cached."""
        now, key = asyncio.get_running_loop().time(), (runner_id, instance)
        cached = self._read_at.get(key)
        if cached is not None and now - cached[0] < within:
            return cached[1]
        found = await self._last(subjects.runner(runner_id), instance)
        self._read_at[key] = (now, found)
        self._read_at.move_to_end(key)
        if len(self._read_at) > REMEMBERED:
            self._read_at.popitem(last=False)
        return found

    async def _last(self, subject: str, instance: str | None) -> Beat | None:
        raw = await self._judged.last(subject)
        found = _beat(raw)
        if raw is None or instance is None or (found is not None and found[0].instance == instance):
            return found
        newest, seq = found, 0
        while (one := await self._judged.next(subject, seq + 1)) is not None and one.seq <= raw.seq:
            seq, beat = one.seq, _beat(one)
            if beat is not None and (beat[0].instance == instance or newest is None):
                newest = beat
        return newest

    async def _check(self, heartbeat: Heartbeat, last: Beat | None) -> None:
        """Raise Refused if `heartbeat` may not follow `last`; times are the broker's."""
        check_goodbye(heartbeat, last[0] if last is not None else None)
        same = last is None or last[0].instance == heartbeat.instance
        if not same and self._terms is not None:
            now = datetime.fromisoformat((await self._api.info())["ts"])
            check_instance(heartbeat, last, now, self._terms)
        elif same:
            check_counter(heartbeat, last[0] if last is not None else None)

    async def _check_room(self) -> None:
        taken = await self.fullness()
        if taken >= NEW_RUNNERS_BELOW:
            raise Busy(
                "heartbeats-full",
                f"the heartbeats fill {Stream.RUNNER} to {taken * 100:.0f} %: a runner "
                "that is not known yet is refused, so that known ones stay heard. Goodbyes expire by "
                "themselves; `towpath doctor` tells more",
            )

    async def _read(self) -> list[RawMessage]:
        """All stored messages, no fewer than the leader had at the call, since runners are judged on them."""
        for pause in self._lag.pauses(READ_TRIES):
            last = await self._api.last(ALL)  # anew each time: the last one may have been removed meanwhile
            if last is None:
                return []
            found: list[RawMessage] = []
            while page := await self._api.batch(ALL, found[-1].seq + 1 if found else 1, PAGE_MESSAGES):
                found += page
                if found[-1].seq >= last.seq:
                    return found
            await asyncio.sleep(pause)
        raise LogUnreachable("the replica that was asked lags behind the last heartbeat")


def _check_transport(heartbeat: Heartbeat, last: RawMessage) -> None:
    """Refuse a goodbye over HTTP for a runner that NATS has let in by its password."""
    if last.headers.get(TRANSPORT) != HTTP:
        raise Refused(
            "runner-id-taken",
            f"the runner {heartbeat.runner_id} is heard over NATS: it says goodbye there",
        )


def _beat(raw: RawMessage | None) -> Beat | None:
    """The heartbeat and the time of storing; None if it is not a valid one of its subject's runner."""
    if raw is None:
        return None
    found = examine_beat(
        ArrivedBeat(RunnerId(raw.subject.removeprefix(subjects.runner(""))), raw.data, raw.subject)
    )
    stored = raw.time or raw.headers["Nats-Time-Stamp"]
    return None if isinstance(found, Fault) else (found, datetime.fromisoformat(stored))
