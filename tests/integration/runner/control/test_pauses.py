"""The pauses of an attempt as a runner reads them from the log, with the runner's rights at the broker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from domain.protocol import Submission
from infra.nats.embedded_server import EmbeddedNats
from runner.control.pauses import LogPauses, PausesUnknown
from runner.control.task_log import TaskLog
from runner.nats_link import NatsLink
from runner.store.state import Attempt, Key
from tests.integration.runner.harness import NatsControlPlane, submission


@pytest.fixture
async def link(nats_control: NatsControlPlane, nats_server: EmbeddedNats) -> AsyncIterator[NatsLink]:
    made = NatsLink(nats_server.runner_url, {}, "host-1")
    await made.start()
    yield made
    await made.stop()


def of(link: NatsLink, number: int) -> tuple[LogPauses, str]:
    given = Submission.model_validate(submission(["true"], task_id=str(uuid7()), attempt=number))
    key = Key(given.task_id, number)
    attempt = Attempt(key, given, "nats", "running", None, settled=False, changed_at=0, traceparent=None)
    return LogPauses(TaskLog(link), attempt), given.task_id


async def test_they_are_the_times_between_asked_and_what_ends_it(
    link: NatsLink, nats_control: NatsControlPlane
) -> None:
    pauses, task_id = of(link, 2)

    async def store(event: str, second: int, attempt: int = 2, **data: Any) -> None:
        await nats_control.js.publish(
            f"towpath.append.task.{task_id}.{event}",
            json.dumps(data).encode(),
            headers={"ce-attempt": str(attempt), "ce-time": f"2026-03-01T12:00:{second:02}.500000Z"},
        )

    async def found() -> tuple[float, bool, float | None]:
        read = await pauses.read()
        return read.ended_seconds, read.open, read.open_at_most_seconds

    assert await found() == (0.0, False, None)
    await store("asked", 0, attempt=1, expires_at=None)
    await store("running", 10)
    assert await found() == (0.0, False, None)
    await store("asked", 11, expires_at=None)
    assert await found() == (0.0, True, None)
    assert await found() == (0.0, True, None)
    await store("answered", 14)
    await store("asked", 20, expires_at="2026-03-01T12:00:30.500000Z")
    assert await found() == (3.0, True, 10.0)
    await store("answered", 45)
    assert await found() == (13.0, False, None)
    await store("asked", 50, expires_at="2026-03-01T12:00:59.500000Z")
    await store("cancel-requested", 51)
    assert await found() == (14.0, False, None)


async def test_a_log_that_is_away_is_not_guessed(link: NatsLink, nats_server: EmbeddedNats) -> None:
    pauses, _ = of(link, 1)
    assert (await pauses.read()).ended_seconds == 0.0
    await link.stop()
    with pytest.raises(PausesUnknown):
        await pauses.read()
