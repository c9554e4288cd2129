"""Guest and runner against the real server: all they need works, all else is refused, no way around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import APIError

from domain.subjects import RUNNERS_LETTERS
from infra.nats.accounts import LOG_CONSUMERS
from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import api, append, connect, direct_get_batch, subjects
from tests.support.waiting import eventually


class Member:
    """A connection that remembers what the server refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    async def error(self, error: Exception) -> None:
        self.refused.append(str(error))


async def _member(url: str) -> tuple[Client, Member]:
    member = Member()
    return await connect(url, error_cb=member.error), member


@pytest.fixture
async def guest(nats_server: EmbeddedNats, js_connection: Client) -> AsyncIterator[Client]:
    nc, nc_member = await _member(nats_server.url)
    nc.member = nc_member
    yield nc
    await nc.close()


@pytest.fixture
async def runner(nats_server: EmbeddedNats, js_connection: Client) -> AsyncIterator[Client]:
    nc, nc_member = await _member(nats_server.runner_url)
    nc.member = nc_member
    yield nc
    await nc.close()


async def _refused(nc: Client, subject: str, body: bytes = b"") -> None:
    """Publishing to `subject` draws a permissions violation."""
    refused = nc.member.refused
    before = len(refused)
    await nc.publish(subject, body)
    await nc.flush()
    await eventually(lambda: len(refused) > before, 5)
    assert subject.lower() in refused[-1]


READERS = ["guest", "runner"]
MANY_FILTERS = [
    "$JS.API.CONSUMER.CREATE.TOWPATH",
    "$JS.API.CONSUMER.CREATE.TOWPATH.x",
    "$JS.API.CONSUMER.DURABLE.CREATE.TOWPATH.x",
    "$JS.API.CONSUMER.CREATE.TOWPATH_SUBMIT",
    "$JS.API.CONSUMER.CREATE.TOWPATH_SUBMIT.x",
    "$JS.API.CONSUMER.DURABLE.CREATE.TOWPATH_SUBMIT.x",
]
"""Where the server would take a consumer with any number of filters, and compare all pairs of them."""


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Client:
    return request.getfixturevalue(request.param)


async def test_the_log_can_be_watched_and_read(js_connection: Client, reader: Client):
    watched = await reader.subscribe("towpath.task.>")
    await reader.flush()
    await append(js_connection, "A", "created", 0)
    fact = await watched.next_msg(5)
    assert (fact.subject, fact.headers["Nats-Sequence"]) == ("towpath.task.A.created", "1")

    js = reader.jetstream()
    assert (await js.get_msg("TOWPATH", 1)).subject == "towpath.task.A.created"
    assert (await api(reader, "STREAM.INFO.TOWPATH"))["state"]["messages"] == 1
    batch = await direct_get_batch(reader, {"next_by_subj": "towpath.task.A.*", "seq": 1, "batch": 1})
    assert [message.headers["Nats-Subject"] for message in batch] == ["towpath.task.A.created"]


async def test_checkpoints_can_be_read(js_connection: Client, reader: Client):
    await js_connection.jetstream().publish("towpath.append.checkpoint.1", b"{}")
    assert (await reader.jetstream().get_last_msg("TOWPATH_CHECKPOINT", "towpath.checkpoint.*")).data == b"{}"
    assert (await api(reader, "STREAM.INFO.TOWPATH_CHECKPOINT"))["state"]["messages"] == 1


@pytest.mark.parametrize("ack", [AckPolicy.NONE, AckPolicy.EXPLICIT])
async def test_the_log_can_be_replayed_with_a_consumer(js_connection: Client, reader: Client, ack: AckPolicy):
    await append(js_connection, "A", "created", 0)
    js = reader.jetstream()
    replay = await js.pull_subscribe(
        "towpath.task.>", stream="TOWPATH", config=ConsumerConfig(ack_policy=ack)
    )
    message = (await replay.fetch(1, timeout=5))[0]
    assert message.subject == "towpath.task.A.created"
    if ack is AckPolicy.EXPLICIT:
        await message.ack_sync()
    assert (await replay.consumer_info()).num_ack_pending == 0
    assert await js.delete_consumer("TOWPATH", (await replay.consumer_info()).name)


@pytest.mark.parametrize("subject", [">", "towpath.>", "towpath.task.*.failed", "towpath.lock.shop.*"])
async def test_a_reader_names_its_one_filter_and_no_more(
    js_connection: Client, reader: Client, subject: str
) -> None:
    """Thousands of filters, compared pair by pair, would hold up JetStream for minutes."""

    async def made(**filters: object) -> dict[str, object]:
        config = {"name": "x", "ack_policy": "none", **filters}
        body = {"stream_name": "TOWPATH", "config": config}
        return await api(reader, f"CONSUMER.CREATE.TOWPATH.x.{subject}", body)

    many = [f"towpath.task.{number}.created" for number in range(3000)]
    for filters in ({"filter_subjects": many}, {"filter_subject": subject, "filter_subjects": many}):
        for durable in ({}, {"durable_name": "x"}):
            assert (await made(**filters, **durable))["error"]["err_code"] == 10137
    assert (await made(filter_subject="towpath.task.a.created"))["error"]["err_code"] == 10131
    assert (await made())["error"]["err_code"] == 10131
    assert (await made(filter_subject=subject))["config"]["filter_subject"] == subject
    assert reader.member.refused == []


async def test_anyone_may_report(js_connection: Client, reader: Client):
    await reader.jetstream().publish("towpath.report.A", b"{}")
    assert await subjects(js_connection, "TOWPATH_REPORT") == {"towpath.report.A": 1}


@pytest.mark.parametrize(
    "subject",
    [
        "towpath.append.task.A.created",
        "towpath.append.checkpoint.1",
        "towpath.task.A.created",
        "towpath.checkpoint.1",
        "towpath.lock.w.granted",
        "towpath.workspace.w.registered",
        "towpath.submit.default",
        "towpath.timer.at.deadline.A.1",
        "towpath.dead.report.A",
        "towpath.dead.submit.A",
        "towpath.audit.verification",
        "$JS.API.STREAM.MSG.GET.TOWPATH_AUDIT",
        "$JS.API.STREAM.CREATE.X",
        "$JS.API.STREAM.UPDATE.TOWPATH",
        "$JS.API.STREAM.DELETE.TOWPATH",
        "$JS.API.STREAM.PURGE.TOWPATH_REPORT",
        "$JS.API.STREAM.MSG.DELETE.TOWPATH",
        "$JS.API.STREAM.MSG.DELETE.TOWPATH_CHECKPOINT",
        "$JS.API.STREAM.MSG.GET.TOWPATH_SUBMIT",
        "$JS.API.STREAM.SNAPSHOT.TOWPATH",
        "$JS.API.CONSUMER.CREATE.TOWPATH_REPORT.x",
        "$JS.API.CONSUMER.CREATE.TOWPATH_REPORT.x.>",
        *MANY_FILTERS,
        "$JS.API.CONSUMER.MSG.NEXT.TOWPATH_REPORT.x",
        "$JS.API.CONSUMER.DELETE.TOWPATH_SUBMIT.default",
        *[f"$JS.API.CONSUMER.DELETE.TOWPATH.{name}" for name in LOG_CONSUMERS],
        *[f"$JS.API.CONSUMER.CREATE.TOWPATH.{name}.towpath.task.>" for name in LOG_CONSUMERS[:1]],
        *[f"$JS.API.CONSUMER.MSG.NEXT.TOWPATH.{name}" for name in LOG_CONSUMERS[:1]],
        *[f"$JS.ACK.TOWPATH.{name}.1.1.1.1.0" for name in LOG_CONSUMERS[:1]],
    ],
)
async def test_all_else_is_refused(reader: Client, subject: str):
    await _refused(reader, subject)


@pytest.mark.parametrize(
    "subject",
    [
        "towpath.runner.r1",
        RUNNERS_LETTERS,
        "$JS.API.CONSUMER.CREATE.TOWPATH_SUBMIT.default",
        "$JS.API.CONSUMER.MSG.NEXT.TOWPATH_SUBMIT.default",
        "$JS.ACK.TOWPATH_SUBMIT.default.1.1.1.1.0",
    ],
)
async def test_a_guest_is_no_runner(guest: Client, subject: str):
    await _refused(guest, subject)


async def test_a_runner_takes_submissions_and_says_that_it_lives(js_connection: Client, runner: Client):
    await js_connection.jetstream().publish("towpath.submit.default", b"work")
    js = runner.jetstream()
    take = await js.pull_subscribe("towpath.submit.default", durable="default", stream="TOWPATH_SUBMIT")
    message = (await take.fetch(1, timeout=5))[0]
    assert message.data == b"work"
    await message.ack_sync()
    assert await subjects(js_connection, "TOWPATH_SUBMIT") == {}
    await js.publish("towpath.runner.r1", b"1")
    await js.publish("towpath.runner.r1", b"2")
    assert await subjects(js_connection, "TOWPATH_RUNNER") == {"towpath.runner.r1": 2}
    await js.publish(RUNNERS_LETTERS, b"why")
    await js.publish("towpath.report.A", b"{}")
    assert (await js.stream_info("TOWPATH_REPORT")).state.messages == 1


async def test_a_runner_takes_up_a_bounded_part_of_the_dead_letters(
    js_connection: Client, runner: Client
) -> None:
    await js_connection.jetstream().publish("towpath.dead.report.honest", b"{}")
    js = runner.jetstream()
    with pytest.raises(APIError):
        await js.publish(RUNNERS_LETTERS, b"x" * 140_000)
    for number in range(60):
        await js.publish(RUNNERS_LETTERS, b"x" * 120_000, headers={"towpath-reason": f"r{number}"})
    assert await subjects(js_connection, "TOWPATH_DEAD") == {
        "towpath.dead.report.honest": 1,
        RUNNERS_LETTERS: 20,
    }


async def test_a_guest_sees_facts_but_no_tokens(js_connection: Client, guest: Client, runner: Client):
    """Submissions carry env values and tokens, reports carry tokens, inboxes carry anything."""
    seen: list[str] = []

    async def note(message: object) -> None:
        seen.append(message.subject)

    await guest.subscribe("towpath.>", cb=note)
    await guest.subscribe("_INBOX.>", cb=note)
    await guest.flush()
    js = js_connection.jetstream()
    await js.publish("towpath.submit.default", b"secret")
    await js.publish("towpath.dead.submit.A", b"secret")
    await runner.jetstream().publish("towpath.report.A", b"{}", headers={"X-Runner-Token": "secret"})
    await runner.jetstream().publish("towpath.runner.r1", b"{}")
    await append(js_connection, "A", "created", 0)
    await eventually(lambda: "towpath.task.A.created" in seen)
    assert seen == ["towpath.task.A.created"]


async def test_a_reply_subject_is_no_way_into_the_log(js_connection: Client, reader: Client):
    """Within one account the server would append its own answer under the victim's subject."""
    await append(js_connection, "A", "created", 0)
    for number, (subject, body) in enumerate(
        [
            ("$JS.API.STREAM.INFO.TOWPATH", b""),
            ("$JS.API.DIRECT.GET.TOWPATH", b'{"seq": 1}'),
            ("$JS.API.STREAM.MSG.GET.TOWPATH", b'{"seq": 1}'),
            ("towpath.report.A", b"{}"),
        ]
    ):
        await reader.publish(subject, body, reply=f"towpath.append.task.V{number}.failed")
    await reader.flush()
    await asyncio.gather(
        *[api(reader, "STREAM.INFO.TOWPATH") for _ in range(5)]
    )  # answered after those above
    assert await subjects(js_connection, "TOWPATH") == {"towpath.task.A.created": 1}


async def test_what_a_push_consumer_delivers_elsewhere_is_no_fact(js_connection: Client, reader: Client):
    """A consumer may send copies to any subject, yet with their true subject and no Nats-Sequence."""
    await append(js_connection, "A", "failed", 0)
    watched = await js_connection.subscribe("towpath.task.V.failed")
    await js_connection.flush()
    config = {"name": "forger", "deliver_subject": "towpath.task.V.failed", "ack_policy": "none"}
    config["filter_subject"] = ">"
    body = {"stream_name": "TOWPATH", "config": config}
    assert "error" not in await api(reader, "CONSUMER.CREATE.TOWPATH.forger.>", body)
    forged = await watched.next_msg(5)
    assert forged.subject == "towpath.task.A.failed"
    assert "Nats-Sequence" not in (forged.headers or {})

    config["deliver_subject"] = "towpath.append.task.V.failed"
    answer = await api(
        reader, "CONSUMER.CREATE.TOWPATH.forger2.>", {**body, "config": {**config, "name": "forger2"}}
    )
    assert answer["error"]["err_code"] == 10081, json.dumps(answer)
    assert await subjects(js_connection, "TOWPATH") == {"towpath.task.A.failed": 1}


async def _answers(client: Client, subject: str, body: bytes) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(body)

    await client.subscribe(subject, cb=answer)
    await client.flush()
    await client.flush()


async def test_the_control_plane_asks_a_runner_for_output(js_connection: Client, runner: Client):
    await _answers(runner, "towpath.output.r1", b"x" * 900_000)
    reply = await js_connection.request("towpath.output.r1", b"{}", timeout=5)
    assert reply.data == b"x" * 900_000
    assert runner.member.refused == []


async def test_only_the_control_plane_asks_for_output(js_connection: Client, guest: Client, runner: Client):
    await _answers(runner, "towpath.output.r1", b"the output")
    await _refused(runner, "towpath.output.r1")
    await _refused(guest, "towpath.output.r1")


async def test_a_guest_answers_no_request_for_output(js_connection: Client, guest: Client):
    await _answers(guest, "towpath.output.r1", b"a lie")
    with pytest.raises(NoRespondersError):
        await js_connection.request("towpath.output.r1", b"{}", timeout=5)


async def test_a_runner_gains_no_right_from_a_reply_subject_that_it_sends_itself(
    js_connection: Client, runner: Client
):
    heard = await runner.subscribe("towpath.runner.r1")
    await runner.flush()
    for forbidden in ("towpath.task.A.running", "$JS.API.CONSUMER.DELETE.TOWPATH.dispatch"):
        await runner.publish("towpath.runner.r1", b"{}", reply=forbidden)
        assert (await heard.next_msg(5)).reply == forbidden
        await _refused(runner, forbidden)
