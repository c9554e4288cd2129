"""`towpath logs -f` while the API that it asks is killed and started again."""

from __future__ import annotations

import pytest

from tests.acceptance.runners.test_lost_runner import Parts
from tests.support.nats import StartNats
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

WRITER = """
number=0
while ! test -e stop; do number=$((number + 1)); echo "line $number"; sleep 0.005; done
echo "last is $number"
"""


@pytest.fixture
def parts(home: Home, start_nats: StartNats) -> Parts:
    return Parts(home, start_nats())


async def test_a_restart_of_the_api_costs_no_byte_and_repeats_none(parts: Parts) -> None:
    await parts.ready()
    root = parts.workspace("shop")
    await parts.runner("host-1")
    task_id = parts.create(["sh", "-c", WRITER], workspace="shop", pool="host-1")
    reader = parts.home.start("logs", "-f", task_id, TOWPATH_URL=parts.url)
    for outage in (1, 2):
        shown = len(reader.said_until(f"line {outage * 50}"))
        parts.api.kill()
        await eventually(lambda outage=outage: reader.words.count("trying again") == outage, DEADLINE)
        parts.api = parts.start_api()
        await parts.ready()
        reader.said_until(f"line {shown + 50}")
    (root / "stop").touch()
    ended = await eventually(lambda: parts.ended(task_id), DEADLINE)
    last = ended["output_tail"].splitlines()[-1]
    lines = [f"line {number}" for number in range(1, int(last.split()[-1]) + 1)]
    assert reader.said_until(last) == [*lines, last]
    assert reader.process.wait(DEADLINE) == 0
    assert reader.process.stdout is not None
    assert reader.process.stdout.read() == b""
