"""The listener of the acceptance tests: it lets good messages pass, and a bad one fails its test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import connect
from tests.support.observers.recorder import Recorder
from tests.support.repository import GOLDEN

BEAT = {"runner_id": "r1", "pools": ["default"], "host": "h", "capacity": 1, "counter": 7, "held": []}
Published = tuple[str, bytes, dict[str, str]]


@pytest.fixture
def recorder(nats_server: EmbeddedNats) -> Iterator[Recorder]:
    control = nats_server.control
    recorder = Recorder(nats_server.url, control.user, control.password or "")
    yield recorder
    recorder.close()


def event(**headers: str) -> Published:
    """A pinned event as it is appended, with other headers."""
    pinned: dict[str, Any] = json.loads((GOLDEN / "task.running.v1.json").read_text())
    return pinned["append_subject"], pinned["data"].encode(), {**pinned["headers"], **headers}


def beat(subject: str = "towpath.runner.r1", **changes: object) -> Published:
    return subject, json.dumps({**BEAT, **changes}).encode(), {}


async def put(server: EmbeddedNats, *messages: Published) -> None:
    client = await connect(server.control_url)
    for subject, body, headers in messages:
        await client.publish(subject, body, headers=headers or None)
    await client.flush()
    await client.close()


async def test_what_keeps_the_contract_passes_and_is_counted(
    nats_server: EmbeddedNats, recorder: Recorder
) -> None:
    await put(nats_server, event(), beat(), ("elsewhere", b"not ours", {}))
    recorder.close()
    assert recorder.seen == {"towpath.event": 1, "towpath.runner": 1}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (event(**{"ce-specversion": "0.3"}), "ce-specversion"),
        (event(**{"ce-time": "yesterday"}), "ce-time"),
        (event(**{"x-more": "1"}), "x-more is not in the document"),
        (beat(counter="7"), "payload counter"),
        (beat(mood="fine"), "field mood is not in the document"),
        (beat("towpath.runner.r2"), "runner_id is 'r1'"),
        (("towpath.runner.r1", b"[]", {}), "towpath.runner.r1"),
        (("towpath.runner.r1", b"\xff", {}), "no JSON"),
        (("towpath.gossip.r1", b"{}", {}), "no channel has this subject"),
    ],
)
async def test_a_message_that_breaks_the_contract_fails_the_test(
    nats_server: EmbeddedNats, recorder: Recorder, bad: Published, why: str
) -> None:
    await put(nats_server, beat(), bad, beat())
    with pytest.raises(AssertionError, match="not as the contract says") as raised:
        recorder.close()
    assert why in str(raised.value)
