"""Each part of a projector twice, as processes of its own: one is killed, the other does what there is to do.

What it took is logged: `pytest tests/acceptance/parts/test_takeover_of_parts.py --log-cli-level=INFO`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.acceptance.parts.pairs import Work, all_sent, answering_api, control_settings, listed, submissions
from tests.support.nats import StartNats
from tests.support.observers.audit import audit
from tests.support.towpath import DEADLINE, Client, Home
from tests.support.waiting import eventually

PARTS = ("locks", "dispatch", "watchdog", "read-model")
BEFORE, AFTER = 20, 20
log = logging.getLogger(__name__)

Done = Callable[[EmbeddedNats, Client, Work], Awaitable[None]]


async def granted(_: EmbeddedNats, client: Client, work: Work) -> None:
    """Each task holds the lock of its path."""
    await eventually(lambda: set(client.holders()) == set(work.tasks), DEADLINE)


async def sent(server: EmbeddedNats, _: Client, work: Work) -> None:
    """Each attempt stands in its pool's queue and was put there once."""
    await all_sent(server, work)
    assert await submissions(server) == (len(work.tasks), len(work.tasks))


async def ended(_: EmbeddedNats, client: Client, work: Work) -> None:
    """Nobody took any attempt in time: each has ended for that, and gave its lock back."""

    def all_ended() -> bool:
        failed = client.events(event="submit-failed")
        return {one["task_id"] for one in failed} == set(work.tasks)

    await eventually(all_ended, DEADLINE)
    await eventually(lambda: client.holders() == {}, DEADLINE)


async def known(_: EmbeddedNats, client: Client, work: Work) -> None:
    """The read model has each task, with its lock."""

    def all_known() -> bool:
        states = {id: one["lock"]["state"] for id, one in listed(client).items()}
        return states == dict.fromkeys(work.tasks, "held")

    await eventually(all_known, DEADLINE)


DONE: dict[str, Done] = {"locks": granted, "dispatch": sent, "watchdog": ended, "read-model": known}


@pytest.mark.parametrize("part", PARTS)
async def test_the_other_one_goes_on(home: Home, start_nats: StartNats, part: str) -> None:
    server = start_nats()
    soon = {"TOWPATH_SUBMIT_DEADLINE_SECONDS": "1"} if part == "watchdog" else {}
    given = control_settings(home, server, **soon)
    pair = [home.start("projector", "--only", part, **given) for _ in range(2)]
    rest = [flag for other in PARTS if other != part for flag in ("--only", other)]
    others = home.start("projector", *rest, **given)
    client = await answering_api(home, given)
    work = Work(client)
    with work.going_on():
        await eventually(lambda: len(work.tasks) >= BEFORE, DEADLINE)
        pair[0].kill()
        struck, before = time.monotonic(), len(work.tasks)
        await eventually(lambda: len(work.tasks) >= before + AFTER, DEADLINE)
    await DONE[part](server, client, work)
    log.info("%s: all done %.1f s after", part, time.monotonic() - struck)
    await nothing_twice(server, client, work)
    assert [one.interrupt() for one in (pair[1], others)] == [0, 0]


async def nothing_twice(server: EmbeddedNats, client: Client, work: Work) -> None:
    """The log is sound, and no step of any attempt stands in it twice, locks included."""
    found = await audit(server.url)
    assert {task_id for task_id, _ in found.granted} == set(work.tasks)
    assert all(len(seqs) == 1 for seqs in found.granted.values())
    steps = Counter((one["task_id"], one["event"]) for one in client.events() if one["task_id"])
    assert set(steps.values()) == {1}
