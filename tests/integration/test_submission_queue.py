"""A submission that nobody takes does not stay in its queue: it holds env values in the clear."""

from __future__ import annotations

from nats.aio.client import Client

from adapters.submit import QueueRunnerClient
from domain.wire import Submission
from tests.support.nats import api
from tests.support.waiting import eventually
from tests.support.worlds import new_id


async def test_an_untaken_submission_is_gone_after_its_time(js_connection: Client) -> None:
    submission = Submission(
        task_id=new_id(),
        attempt=1,
        title="t",
        command=["true"],
        env={"TOKEN": "secret"},
        execution_mode="no-workspace",
    )

    async def queued() -> int:
        info = await api(js_connection, "STREAM.INFO.TOWPATH_SUBMIT")
        return int(info["state"]["messages"])

    async def empty() -> bool:
        return await queued() == 0

    client = QueueRunnerClient(js_connection, keep_seconds=0.6)
    await client.submit(submission, "nobody")
    await client.submit(submission, "nobody")
    assert await queued() == 1
    await eventually(empty)
