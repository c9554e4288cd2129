"""`GET /tasks/{id}/output`: whose output, when there is none, and what a client that leaves costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from api.config import ApiConfig
from api.operator_tokens import parse_operator_tokens
from api.queries.tasks.attempts import AttemptFacts
from api.queries.tasks.outputs import output_range
from api.routes.tasks.output import UNSENT_BYTES
from domain.identifiers import TaskId
from domain.ports.outputs import OutputNotThere, OutputPlace, RunnerAway
from domain.runners.output_range import OutputRange, RangeRequest
from domain.runners.runner_key import runner_id_of
from domain.services.task_commands import TaskCommands
from tests.unit.api.api_harness import ApiHarness, api_harness, problem


class MemoryOutputs:
    """Port `Outputs` with one output, which can grow."""

    def __init__(self) -> None:
        self.data = b""
        self.complete = False
        self.trouble: Exception | None = None
        self.asked: list[tuple[OutputPlace, RangeRequest]] = []
        self.waiting = 0
        self.grown = asyncio.Event()

    async def read(self, place: OutputPlace, asked: RangeRequest) -> OutputRange:
        self.asked.append((place, asked))
        if self.trouble is not None:
            raise self.trouble
        self.waiting += 1
        try:
            if len(self.data) <= asked.offset and not self.complete and asked.wait:
                await asyncio.wait_for(self.grown.wait(), asked.wait)
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1
        size = len(self.data)
        offset = asked.offset if asked.offset >= 0 else max(0, size + asked.offset)
        return OutputRange(self.data[offset : offset + asked.limit], offset, size, self.complete, 3)


@pytest.fixture
async def outputs() -> MemoryOutputs:
    return MemoryOutputs()


@pytest.fixture
async def harness(outputs: MemoryOutputs) -> AsyncIterator[ApiHarness]:
    async with api_harness(outputs=outputs) as made:
        yield made


async def running(harness: ApiHarness, **said: Any) -> str:
    task = await harness.dispatched()
    answer = await harness.report(task["id"], "running", attempt=1, runner_id="r1", **said)
    assert answer.status_code == 200, answer.text
    return str(task["id"])


async def test_bytes_and_what_is_known_of_them(harness: ApiHarness, outputs: MemoryOutputs) -> None:
    task_id = await running(harness, instance="i1")
    outputs.data = b"<script>alert(1)</script>"
    answer = await harness.http.get(f"/tasks/{task_id}/output", params={"offset": 1, "limit": 6})
    assert (answer.status_code, answer.content) == (200, b"script")
    said = {name: value for name, value in answer.headers.items() if name.startswith("towpath-output-")}
    assert said == {
        "towpath-output-attempt": "1",
        "towpath-output-offset": "1",
        "towpath-output-size": "25",
        "towpath-output-complete": "false",
        "towpath-output-cut": "3",
    }
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    [(place, asked)] = outputs.asked
    assert (place.runner_id, place.pool, asked.instance, asked.attempt) == ("r1", "default", "i1", 1)


async def test_the_leader_is_not_asked_for_each_range_of_a_taken_attempt(
    harness: ApiHarness, outputs: MemoryOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, waiting = await running(harness), (await harness.dispatched())["id"]
    read, confirmed = TaskCommands.read, []

    async def counted(commands: TaskCommands, task_id: str) -> Any:
        confirmed.append(task_id)
        return await read(commands, TaskId(task_id))

    monkeypatch.setattr(TaskCommands, "read", counted)
    outputs.data = b"bytes"
    for _ in range(3):
        answer = await harness.http.get(f"/tasks/{task_id}/output", params={"attempt": 1})
        assert answer.content == b"bytes"
    assert confirmed == []
    for found in (task_id, waiting):  # which one is the current one, and whether one was taken, may change
        await harness.http.get(f"/tasks/{found}/output")
    await harness.http.get(f"/tasks/{waiting}/output", params={"attempt": 1})
    outputs.trouble = RunnerAway("gone")
    await harness.http.get(f"/tasks/{task_id}/output", params={"attempt": 1})
    assert confirmed == [task_id, waiting, waiting, task_id]


async def test_before_a_runner_has_it_there_is_nothing_yet(harness: ApiHarness) -> None:
    task = await harness.create()
    answer = await harness.http.get(f"/tasks/{task['id']}/output")
    assert (answer.content, answer.headers["towpath-output-attempt"]) == (b"", "0")
    assert answer.headers["towpath-output-complete"] == "false"


async def test_an_earlier_attempt_is_asked_of_its_own_runner(
    harness: ApiHarness, outputs: MemoryOutputs
) -> None:
    task_id = await running(harness)
    await harness.report(task_id, "failed", attempt=1, runner_id="r1", exit_code=1, output_tail="the end\n")
    assert (await harness.http.post(f"/tasks/{task_id}/dispatch")).is_success
    await harness.report(task_id, "running", attempt=2, runner_id="r2")
    for attempt, runner_id in ((1, "r1"), (2, "r2")):
        await harness.http.get(f"/tasks/{task_id}/output", params={"attempt": attempt})
        assert outputs.asked[-1][0].runner_id == runner_id
    outputs.trouble = RunnerAway("runner r1 is not connected")
    found = problem(
        await harness.http.get(f"/tasks/{task_id}/output", params={"attempt": 1}), 503, "runner-away"
    )
    assert (found["ended"], found["output_tail"], found["runner_id"]) == (True, "the end\n", "r1")
    found = problem(await harness.http.get(f"/tasks/{task_id}/output"), 503, "runner-away")
    assert (found["ended"], found["output_tail"]) == (False, None)
    answer = await harness.http.get(f"/tasks/{task_id}/output", params={"attempt": 3})
    assert "attempts 1 to 2" in problem(answer, 404, "no-such-attempt")["detail"]


async def test_what_is_gone_and_what_never_was(harness: ApiHarness, outputs: MemoryOutputs) -> None:
    task_id = await running(harness)
    await harness.report(task_id, "succeeded", attempt=1, runner_id="r1", output_tail="done\n")
    outputs.trouble = OutputNotThere()
    found = problem(await harness.http.get(f"/tasks/{task_id}/output"), 404, "output-gone")
    assert (found["kept"], found["output_tail"]) == ("deleted", "done\n")
    outputs.trouble = OutputNotThere(never=True)
    found = problem(await harness.http.get(f"/tasks/{task_id}/output"), 404, "output-gone")
    assert found["kept"] == "never-kept"
    canceled = await harness.dispatched()
    assert (await harness.http.post(f"/tasks/{canceled['id']}/cancel")).is_success
    found = problem(await harness.http.get(f"/tasks/{canceled['id']}/output"), 404, "output-gone")
    assert found["kept"] == "never-kept"


async def test_a_lock_of_a_terminal_keeps_no_output(harness: ApiHarness, outputs: MemoryOutputs) -> None:
    task = await harness.dispatched(pool=runner_id_of("host", "key.secret"))
    found = problem(await harness.http.get(f"/tasks/{task['id']}/output?wait=20"), 404, "output-gone")
    assert (found["kept"], outputs.asked) == ("never-kept", [])


async def test_a_reader_that_waits_gets_it_when_it_comes(harness: ApiHarness, outputs: MemoryOutputs) -> None:
    task_id = await running(harness)
    reading = asyncio.ensure_future(harness.http.get(f"/tasks/{task_id}/output", params={"wait": 20}))
    async with asyncio.timeout(10):
        while not outputs.waiting:
            await asyncio.sleep(0)
        outputs.data = b"now"
        outputs.grown.set()
        assert (await reading).content == b"now"


async def test_a_reader_that_came_before_a_runner_is_woken_once_one_has_the_attempt(
    harness: ApiHarness, outputs: MemoryOutputs
) -> None:
    task = await harness.create()
    outputs.data = b"first"
    asked = {"offset": 0, "limit": 10, "wait": 60.0}

    def read(attempt: int | None) -> Awaitable[tuple[AttemptFacts, OutputRange]]:
        return output_range(harness.parts, TaskId(task["id"]), attempt, asked, untaken_seconds=60)

    reading = asyncio.ensure_future(read(None))
    async with asyncio.timeout(10):
        assert (await harness.http.post(f"/tasks/{task['id']}/dispatch")).is_success
        second = asyncio.ensure_future(read(1))
        await harness.report(task["id"], "queued", attempt=1, runner_id="r1")
        for facts, found in (await reading, await second):
            assert (facts.number, facts.runner_id, found.data) == (1, "r1", b"first")


async def test_a_stopping_api_lets_readers_go(harness: ApiHarness, outputs: MemoryOutputs) -> None:
    task_id = await running(harness)
    reading = asyncio.ensure_future(harness.http.get(f"/tasks/{task_id}/output", params={"wait": 20}))
    async with asyncio.timeout(10):
        while not outputs.waiting:
            await asyncio.sleep(0)
        harness.app.state.closing.set()
        problem(await reading, 503, "stopping")
        outputs.data = b"at once"
        answer = await harness.http.get(f"/tasks/{task_id}/output")  # it waits for nothing
        assert answer.content == b"at once"
    assert outputs.waiting == 0
    assert harness.app.state.streams.open == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"offset": "x"}, "offset"),
        ({"limit": 0}, "limit"),
        ({"limit": 1 << 21}, "limit"),
        ({"wait": 21}, "wait"),
        ({"attempt": 0}, "attempt"),
        ({"ofset": 3}, "ofset"),
    ],
)
async def test_a_wrong_parameter_is_named(harness: ApiHarness, query: dict[str, Any], said: str) -> None:
    task = await harness.create()
    found = problem(
        await harness.http.get(f"/tasks/{task['id']}/output", params=query), 422, "invalid-request"
    )
    assert said in found["detail"]


async def test_too_many_readers_are_refused(harness: ApiHarness, outputs: MemoryOutputs) -> None:
    task_id = await running(harness)
    harness.app.state.streams.limit = 1
    reading = asyncio.ensure_future(harness.http.get(f"/tasks/{task_id}/output", params={"wait": 20}))
    async with asyncio.timeout(10):
        while not outputs.waiting:
            await asyncio.sleep(0)
        problem(await harness.http.get(f"/tasks/{task_id}/output"), 503, "too-many-streams")
        outputs.data = b"x"
        outputs.grown.set()
        assert (await reading).is_success


async def test_readers_that_wait_together_share_the_memory(
    harness: ApiHarness, outputs: MemoryOutputs
) -> None:
    task_id = await running(harness)
    streams = harness.app.state.streams
    query = {"wait": 20, "limit": 1 << 20}
    path = f"/tasks/{task_id}/output"
    async with asyncio.timeout(60):
        reading = [asyncio.ensure_future(harness.http.get(path, params=query)) for _ in range(100)]
        while outputs.waiting < len(reading):
            await asyncio.sleep(0)
        asked = [one.limit for _, one in outputs.asked]
        assert streams.asked_bytes == sum(asked)
        assert (max(asked), min(asked)) == (1 << 20, UNSENT_BYTES // streams.limit)
        outputs.data = b"x"
        outputs.grown.set()
        assert all(one.is_success for one in await asyncio.gather(*reading))
    assert (streams.asked_bytes, streams.output_bytes, streams.open) == (0, 0, 0)


async def test_a_viewer_may_read_and_a_stranger_may_not(outputs: MemoryOutputs) -> None:
    tokens = parse_operator_tokens("viewer:" + "v" * 20)
    async with api_harness(ApiConfig(operator_tokens=tokens), outputs=outputs) as made:
        path = "/tasks/0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11/output"
        problem(await made.http.get(path), 401, "unauthorised")
        answer = await made.http.get(path, headers={"Authorization": "Bearer " + "v" * 20})
        problem(answer, 404, "no-such-task")
