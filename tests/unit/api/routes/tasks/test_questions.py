"""Questions over HTTP: who may ask, who may answer, and what a job that waits is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.config import ApiConfig
from api.operator_tokens import parse_operator_tokens
from api.streaming.live_response import Streams
from domain.log.capacity import Bound
from domain.runners.runner_key import runner_id_of
from domain.services.task_findings import TaskFindings
from domain.task.question import EXPIRY_ACTOR
from tests.unit.api.api_harness import ApiHarness, api_harness, problem

QUESTION: dict[str, Any] = {"question_id": "deploy", "text": "Deploy?", "choices": ["yes", "no"]}
GUARDED = ApiConfig(
    callback_token="callback-token",
    operator_tokens=parse_operator_tokens("operator:op-token,viewer:seer-token"),
)


async def _running(harness: ApiHarness, **body: Any) -> str:
    task = await harness.dispatched(**body)
    assert (await harness.report(task["id"], "running", runner_id="r1")).is_success
    return str(task["id"])


async def _ask(harness: ApiHarness, task_id: str, token: str | None = None, **fields: Any) -> httpx.Response:
    headers = {"X-Runner-Token": token} if token is not None else {}
    body = {**QUESTION, **fields}
    return await harness.http.post(f"/runner/tasks/{task_id}/questions", json=body, headers=headers)


async def _answer(harness: ApiHarness, task_id: str, **body: Any) -> httpx.Response:
    return await harness.http.post(f"/tasks/{task_id}/questions/deploy/answer", json=body)


async def _look(harness: ApiHarness, task_id: str, wait: float = 0) -> dict[str, Any]:
    answer = await harness.http.get(f"/tasks/{task_id}/questions/deploy", params={"wait": wait})
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_question_is_asked_shown_and_answered(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    asked = await _ask(harness, task_id)
    assert (asked.status_code, asked.json()["state"]) == (201, "open")
    task = (await harness.http.get(f"/tasks/{task_id}")).json()
    assert (task["question"]["question_id"], task["question"]["choices"]) == ("deploy", ["yes", "no"])
    listed = (await harness.http.get("/tasks", params={"asking": "true"})).json()["items"]
    assert [one["id"] for one in listed] == [task_id]
    told = (await harness.http.get(f"/tasks/{task_id}/why")).json()
    assert told["stage"] == "waits-for-answer"
    assert "asks since " in told["sentence"]
    assert f"Deploy? (yes / no); answer with `towpath answer {task_id}`" in told["sentence"]
    assert "towpath_questions_open 1.0" in (await harness.http.get("/metrics")).text
    answered = await _answer(harness, task_id, choice="yes")
    assert answered.status_code == 200
    shown = await _look(harness, task_id)
    assert (shown["state"], shown["answer"], shown["by"], shown["cause"]) == (
        "answered",
        "yes",
        "api",
        "person",
    )
    assert (await harness.http.get(f"/tasks/{task_id}")).json()["question"] is None
    assert harness.events()[-2:] == ["asked", "answered"]


async def test_a_runner_is_told_the_pauses_of_its_attempt(harness: ApiHarness) -> None:
    task_id = await _running(harness)

    async def pauses() -> dict[str, Any]:
        answer = await harness.http.get(f"/runner/tasks/{task_id}/pauses")
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    nothing = {"attempt": 1, "ended_seconds": 0.0, "open": False, "open_at_most_seconds": None}
    assert await pauses() == nothing
    await _ask(harness, task_id, expires_seconds=60)
    assert await pauses() == {**nothing, "open": True, "open_at_most_seconds": 60.0}
    harness.clock.at += timedelta(seconds=7)
    await _answer(harness, task_id, choice="yes")
    assert await pauses() == {**nothing, "ended_seconds": 7.0}


async def test_a_task_without_an_attempt_has_no_pauses(harness: ApiHarness) -> None:
    task_id = (await harness.create())["id"]
    answer = await harness.http.get(f"/runner/tasks/{task_id}/pauses")
    problem(answer, 409, "not-dispatched")


async def test_a_repeated_question_and_answer_change_nothing(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    for expected in (201, 200):
        assert (await _ask(harness, task_id, expires_seconds=60, default="no")).status_code == expected
    for _ in range(2):
        assert (await _answer(harness, task_id, choice="yes")).status_code == 200
    said = problem(await _answer(harness, task_id, choice="no"), 409, "already-answered")
    assert (said["by"], said["choice"]) == ("api", "yes")
    assert harness.events().count("asked") == harness.events().count("answered") == 1


async def test_a_long_poll_ends_with_the_answer(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    await _ask(harness, task_id)
    waiting = asyncio.create_task(_look(harness, task_id, wait=30))
    streams: Streams = harness.app.state.streams
    async with asyncio.timeout(5):
        while streams.open == 0:
            await asyncio.sleep(0)
    await _answer(harness, task_id, choice="no")
    async with asyncio.timeout(10):
        assert (await waiting)["answer"] == "no"
    assert streams.open == 0


@pytest.mark.parametrize("end", ["canceled", "failed"])
async def test_a_long_poll_ends_with_the_attempt(harness: ApiHarness, end: str) -> None:
    task_id = await _running(harness)
    await _ask(harness, task_id)
    waiting = asyncio.create_task(_look(harness, task_id, wait=30))
    if end == "canceled":
        await harness.http.post(f"/tasks/{task_id}/cancel")
    else:
        await harness.report(task_id, "failed", runner_id="r1")
    async with asyncio.timeout(10):
        assert (await waiting)["state"] == "closed"
    code = "cancel-requested" if end == "canceled" else "ended"
    problem(await _answer(harness, task_id, choice="no"), 409, code)


async def test_a_long_poll_ends_where_the_time_is_over_and_nothing_follows(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    await _ask(harness, task_id, expires_seconds=60)
    harness.clock.at += timedelta(seconds=61)
    async with asyncio.timeout(10):
        shown = await _look(harness, task_id, wait=30)
    assert (shown["state"], shown["expired"]) == ("open", True)


async def test_where_too_many_wait_a_job_is_told_to_come_again(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    await _ask(harness, task_id)
    harness.app.state.streams.limit = 0
    place = f"/tasks/{task_id}/questions/deploy"
    refused = await harness.http.get(place, params={"wait": 30})
    problem(refused, 503, "too-many-streams")
    assert refused.headers["retry-after"] == "5"
    assert (await _look(harness, task_id))["state"] == "open"
    await _answer(harness, task_id, choice="yes")
    problem(await harness.http.get(place, params={"wait": 30}), 503, "too-many-streams")


async def test_the_default_is_recorded_as_expired(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    await _ask(harness, task_id, expires_seconds=60, default="no")
    findings = TaskFindings(harness.parts.commands._tasks, harness.clock)
    assert not (await findings.question_expired(task_id, 1, EXPIRY_ACTOR)).recorded
    harness.clock.at += timedelta(seconds=61)
    assert (await findings.question_expired(task_id, 1, EXPIRY_ACTOR)).recorded
    shown = await _look(harness, task_id, wait=30)
    assert (shown["answer"], shown["cause"], shown["by"], shown["expired"]) == (
        "no",
        "expired",
        EXPIRY_ACTOR,
        True,
    )


async def test_a_job_token_asks_and_reads_its_own_task_and_does_nothing_else() -> None:
    async with api_harness(GUARDED) as harness:
        operator = {"Authorization": "Bearer op-token"}
        made = await harness.http.post("/tasks?dispatch=true", json={"command": ["true"]}, headers=operator)
        other = await harness.http.post("/tasks?dispatch=true", json={"command": ["true"]}, headers=operator)
        task_id, foreign = made.json()["id"], other.json()["id"]
        assert (await harness.report(task_id, "running", "callback-token", runner_id="r1")).is_success
        token = harness.parts.job_tokens.mint(task_id, 1)
        job = {"X-Runner-Token": token}

        problem(await harness.report(task_id, "succeeded", token), 401, "unauthorised")
        problem(await harness.report(task_id, "asked", token, **QUESTION), 401, "unauthorised")
        problem(await _ask(harness, task_id), 401, "unauthorised")
        problem(await _ask(harness, foreign, token), 401, "unauthorised")
        assert (await _ask(harness, task_id, token)).status_code == 201
        assert [one.actor for one in harness.log.events if one.event == "asked"] == ["job"]

        for path in (f"/tasks/{task_id}", f"/tasks/{task_id}/questions/deploy"):
            assert (await harness.http.get(path, headers=job)).status_code == 200
            problem(await harness.http.get(path), 401, "unauthorised")
            problem(await harness.http.get(path.replace(task_id, foreign), headers=job), 401, "unauthorised")
        for path in ("/tasks", f"/tasks/{task_id}/why", "/locks", "/events"):
            problem(await harness.http.get(path, headers=job), 401, "unauthorised")
        answer = f"/tasks/{task_id}/questions/deploy/answer"
        problem(await harness.http.post(answer, json={"choice": "yes"}, headers=job), 401, "unauthorised")
        viewer = {"Authorization": "Bearer seer-token"}
        problem(await harness.http.post(answer, json={"choice": "yes"}, headers=viewer), 403, "forbidden")
        given = await harness.http.post(answer, json={"choice": "yes"}, headers=operator)
        assert given.json()["by"].startswith("operator:")


async def test_a_runner_with_a_key_of_its_own_gets_its_jobs_token_with_running() -> None:
    key = "key." + "ab" * 32
    mine = runner_id_of("h", key)
    async with api_harness(GUARDED) as harness:
        operator = {"Authorization": "Bearer op-token"}

        async def made(pool: str) -> str:
            body = {"command": ["true"], "pool": pool}
            answer = await harness.http.post("/tasks?dispatch=true", json=body, headers=operator)
            return str(answer.json()["id"])

        task_id, plain = await made(mine), await made("default")
        running = [await harness.report(task_id, "running", key, attempt=1, runner_id=mine) for _ in range(2)]
        tokens = {one.headers["towpath-job-token"] for one in running}
        assert tokens == {harness.parts.job_tokens.mint(task_id, 1)}, "also after a lost response"
        assert (await _ask(harness, task_id, *tokens)).status_code == 201
        problem(await harness.report(task_id, "succeeded", *tokens), 401, "unauthorised")

        for token, task, runner_id in (("callback-token", plain, "r1"), (key, plain, mine)):
            said = await harness.report(task, "running", token, attempt=1, runner_id=runner_id)
            assert "towpath-job-token" not in said.headers, said.text
        ended = await harness.report(task_id, "succeeded", key, attempt=1, runner_id=mine)
        assert (ended.status_code, "towpath-job-token" in ended.headers) == (200, False)


async def test_the_attempt_of_a_job_token_is_the_one_that_asks(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    await harness.report(task_id, "failed", runner_id="r1")
    await harness.http.post(f"/tasks/{task_id}/dispatch")
    await harness.report(task_id, "running", runner_id="r1", attempt=2)
    problem(await _ask(harness, task_id, harness.parts.job_tokens.mint(task_id, 1)), 409, "stale-attempt")
    problem(await _ask(harness, task_id), 409, "attempt-required")
    assert (await _ask(harness, task_id, harness.parts.job_tokens.mint(task_id, 2))).status_code == 201


async def test_what_cannot_be_asked_or_answered_is_refused_with_its_reason(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    problem(await _ask(harness, task_id, choices=None), 422, "invalid-request")
    await _ask(harness, task_id)
    problem(await _ask(harness, task_id, question_id="other"), 409, "question-open")
    problem(await _ask(harness, task_id, text="Else?"), 409, "id-taken")
    problem(await _answer(harness, task_id, choice="maybe"), 422, "not-a-choice")
    problem(await _answer(harness, task_id, text="hm"), 422, "no-free-text")
    problem(await _answer(harness, task_id), 422, "invalid-request")
    problem(await _answer(harness, task_id, choice="yes", text="hm"), 422, "invalid-request")
    problem(await harness.http.get(f"/tasks/{task_id}/questions/none"), 404, "no-such-question")
    problem(await harness.http.get("/tasks/no-id/questions/deploy"), 422, "invalid-request")
    problem(await _ask(harness, "no-id"), 422, "invalid-request")
    waiting = await harness.dispatched()
    problem(await _ask(harness, waiting["id"]), 409, "not-running")


async def test_time_travel_shows_what_was_asked_then(harness: ApiHarness) -> None:
    task_id = await _running(harness)
    await _ask(harness, task_id)
    seq = harness.log.events[-1].seq
    await _answer(harness, task_id, choice="yes")
    then = (await harness.http.get(f"/tasks/{task_id}", params={"at": seq})).json()
    assert then["question"]["text"] == "Deploy?"
    now = (await harness.http.get(f"/tasks/{task_id}", params={"at": seq + 1})).json()
    assert now["question"] is None


class _Full:
    """Port `LogCapacity` without room for new work."""

    def bounds(self) -> list[Bound]:
        return [Bound("the log", 0, 1, "raise its limit")]


async def test_a_full_log_takes_no_question_and_still_takes_an_answer() -> None:
    async with api_harness() as harness:
        task_id = await _running(harness)
        await _ask(harness, task_id)
        full = replace(harness.parts, capacity=_Full())
        harness.app.state.parts = full
        problem(await _ask(harness, task_id, question_id="other"), 507, "log-nearly-full")
        assert (await _answer(harness, task_id, choice="no")).status_code == 200
