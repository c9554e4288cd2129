"""Runners' heartbeats on TOWPATH_RUNNER, which keeps the last one of each and when it was stored."""

from __future__ import annotations

from datetime import UTC, datetime

from nats.aio.client import Client
from pydantic import ValidationError

from adapters.jetstream_api import JetStreamApi
from adapters.publish import publish
from domain.wire import Heartbeat

MAX_RUNNERS = 10_000


class JetStreamHeartbeats:
    """Port `Heartbeats`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection
        self._api = JetStreamApi(connection, "TOWPATH_RUNNER")

    async def publish(self, heartbeat: Heartbeat) -> None:
        """See the port."""
        subject = f"towpath.runner.{heartbeat.runner_id}"
        await publish(self._nc, "TOWPATH_RUNNER", subject, heartbeat.model_dump_json().encode(), {})

    async def all(self) -> list[tuple[Heartbeat, datetime]]:
        """See the port. What is no heartbeat is passed over: any runner may publish there."""
        found = []
        for raw in await self._api.batch("towpath.runner.*", 1, MAX_RUNNERS):
            try:
                beat = Heartbeat.model_validate_json(raw.data)
            except ValidationError:
                continue
            if raw.subject == f"towpath.runner.{beat.runner_id}":
                found.append((beat, _broker_time(raw.headers["Nats-Time-Stamp"])))
        return sorted(found, key=lambda one: one[0].runner_id)


def _broker_time(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which Python cuts to microseconds."""
    head, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
