"""A scrape of one of several API processes: what each counts, by worker; what is true of all, once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client.parser import text_string_to_metric_families

from api.metrics.registry import Metrics
from api.metrics.siblings import Siblings, family

ASK = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
asking = socket.socket(socket.AF_UNIX)
asking.connect(bytes.fromhex(sys.argv[1]))
asking.settimeout(30)
sys.exit(len(asking.recv(65536)))
"""


def counting(requests: int) -> Metrics:
    metrics = Metrics(lambda: 7)
    metrics.live_streams(lambda: requests, lambda: 0)
    metrics.tasks({"running": 3})
    for _ in range(requests):
        metrics.request("GET", "/tasks", 200)
        metrics.callback("http", "recorded", 0.002)
    return metrics


@asynccontextmanager
async def serving(*processes: tuple[Siblings, Metrics]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.serve(metrics)) for one, metrics in processes]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def samples(text: bytes) -> dict[str, float]:
    return {
        " ".join([one.name, *(f"{name}={value}" for name, value in sorted(one.labels.items()))]): one.value
        for part in text_string_to_metric_families(text.decode())
        for one in part.samples
    }


async def scraped(members: Sequence[Siblings], counted: Sequence[Metrics]) -> dict[str, float]:
    async with serving(*zip(members, counted, strict=True)):
        return samples(await members[0].render(counted[0]))


async def test_counts_of_all_have_their_worker_and_what_is_true_of_all_is_there_once() -> None:
    found = await scraped(family(3), [counting(1), counting(2), counting(3)])
    for worker in (1, 2, 3):
        labels = f"method=GET route=/tasks status=200 worker={worker}"
        assert found[f"towpath_http_requests_total {labels}"] == worker
        assert found[f"towpath_callback_seconds_count transport=http worker={worker}"] == worker
        assert found[f"towpath_callback_seconds_bucket le=0.0025 transport=http worker={worker}"] == worker
        assert found[f"towpath_live_streams worker={worker}"] == worker
        assert found[f"towpath_events_seen_total worker={worker}"] == 7
    assert found["towpath_tasks status=running"] == 3
    assert not [
        name for name in found if name.startswith("towpath_http_requests_total") and "worker" not in name
    ]


async def test_one_that_does_not_answer_is_left_out() -> None:
    members, counted = family(3), [counting(1), counting(2), counting(3)]
    members[1].close()

    async def broken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'[["towpath_http_requests", "cut')
        writer.close()

    async with (
        await asyncio.start_unix_server(broken, sock=members[2].listening),
        serving((members[0], counted[0])),
    ):
        found = samples(await members[0].render(counted[0]))
    assert found["towpath_live_streams worker=1"] == 1
    assert not [name for name in found if "worker=2" in name or "worker=3" in name]


async def test_a_process_of_another_user_is_told_nothing() -> None:
    (one,) = family(1)
    async with serving((one, counting(1))):
        address = one.listening.getsockname().hex()
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, address, stderr=subprocess.PIPE
        )
        _, words = await asyncio.wait_for(asked.communicate(), 60)
    assert (asked.returncode, words) == (0, b"")
