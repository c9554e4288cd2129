"""Two projectors, one of them killed or stopped in the middle of work: the other goes on within seconds.

What it took is logged: `pytest tests/acceptance/parts/test_takeover.py --log-cli-level=INFO`.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.acceptance.parts.pairs import Work, all_sent, answering_api, control_settings, listed, submissions
from tests.support.nats import StartNats
from tests.support.observers.audit import audit
from tests.support.servers.postgres import running_postgres
from tests.support.towpath import DEADLINE, Client, Home, Server
from tests.support.waiting import eventually

BEFORE, AFTER = 30, 20
log = logging.getLogger(__name__)


@contextmanager
def databases(kind: str) -> Iterator[str | None]:
    if kind == "sqlite":
        yield None
        return
    with running_postgres() as postgres:
        yield postgres.fresh_database()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_the_other_projector_takes_over(
    home: Home, start_nats: StartNats, fault: signal.Signals, database: str
) -> None:
    with databases(database) as url:
        server = start_nats()
        given = control_settings(home, server, **({"TOWPATH_DATABASE_URL": url} if url else {}))
        projectors = [home.start("projector", **given) for _ in range(2)]
        client = await answering_api(home, given)
        work = Work(client)
        with work.going_on():
            await eventually(lambda: len(work.tasks) >= BEFORE, DEADLINE)
            os.killpg(projectors[0].process.pid, fault)
            struck = time.monotonic()
            await eventually(lambda: len(work.tasks) >= BEFORE + AFTER, DEADLINE)
        await all_sent(server, work)
        log.info("%s, %s: all sent %.1f s after", database, fault.name, time.monotonic() - struck)
        if fault is signal.SIGSTOP and database == "sqlite":
            # a process that is stopped with the file's lock in its hand keeps it
            os.killpg(projectors[0].process.pid, signal.SIGCONT)
        await all_listed(client, work)
        log.info("%s, %s: all listed %.1f s after", database, fault.name, time.monotonic() - struck)
        assert set(client.holders()) == set(work.tasks)
        await once_each(server, work, projectors, fault)


async def all_listed(client: Client, work: Work) -> None:
    def reached() -> bool:
        found = listed(client)
        return {id for id, one in found.items() if one["lock"]["state"] == "held"} == set(work.tasks)

    await eventually(reached, DEADLINE)


async def once_each(
    server: EmbeddedNats, work: Work, projectors: list[Server], fault: signal.Signals
) -> None:
    """Whoever was stopped does nothing twice when it goes on, and both can still be told to end."""
    if fault is signal.SIGSTOP:
        os.killpg(projectors[0].process.pid, signal.SIGCONT)
    before = await audit(server.url)
    assert {task_id for task_id, _ in before.granted} == set(work.tasks)
    assert all(len(seqs) == 1 for seqs in before.granted.values())
    left = projectors if fault is signal.SIGSTOP else projectors[1:]
    assert [one.interrupt() for one in left] == [0] * len(left), [one.words[-2000:] for one in left]
    after = await audit(server.url)
    assert after.granted == before.granted
    assert (await submissions(server))[1] == len(work.tasks)
