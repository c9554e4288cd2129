"""A submission that nobody takes does not stay in its queue: it holds env values in the clear."""

from __future__ import annotations

from nats.aio.client import Client

from adapters.runners.submission import QueueRunnerClient
from domain.protocol import Submission
from tests.support.messages import new_id
from tests.support.nats import api
from tests.support.waiting import eventually


async def test_the_id_of_a_submission_needs_its_token_to_be_known(js_connection: Client) -> None:
    task_id, ids = new_id(), []
    for token in ("one", "two"):
        submission = Submission(
            task_id=task_id, attempt=1, title="t", command=["true"],
            execution_mode="no-workspace", status_callback_token=token,
        )  # fmt: skip
        client = QueueRunnerClient(js_connection, keep_seconds=60)
        await client.submit(submission, "nobody")
        await client.submit(submission, "nobody")
        stored = await js_connection.jetstream().get_last_msg("TOWPATH_SUBMIT", "towpath.submit.nobody")
        ids.append((stored.seq, (stored.headers or {})["Nats-Msg-Id"]))
    assert [seq for seq, _ in ids] == [1, 2]
    assert ids[0][1] != ids[1][1]


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
