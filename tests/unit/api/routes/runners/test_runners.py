"""Runners over HTTP: their heartbeats, what is wanted of them, how they are shown when they fall silent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.config import ApiConfig, OperatorToken, Role, digest_of
from domain.protocol import Heartbeat
from domain.runners.runner_key import runner_id_of
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id, problem

SHARED = {"workspace": "acme", "execution_mode": "shared-workspace"}


def beat(*held: str, counter: int = 1, **fields: Any) -> dict[str, Any]:
    listed = [{"task_id": task_id, "attempt": 1} for task_id in held]
    return {
        "runner_id": "r1",
        "pools": ["default"],
        "host": "h",
        "capacity": 4,
        "counter": counter,
        "held": listed,
        **fields,
    }


async def send(harness: ApiHarness, *held: str, **fields: Any) -> httpx.Response:
    return await harness.http.post("/runner/heartbeat", json=beat(*held, **fields))


async def wanted(harness: ApiHarness, *held: str, **fields: Any) -> list[str]:
    answer = await send(harness, *held, **fields)
    assert answer.status_code == 200, answer.text
    items = answer.json()["wanted"]
    assert [(one["task_id"], one["attempt"]) for one in items] == [(task_id, 1) for task_id in held]
    return [one["wanted"] for one in items]


async def test_a_heartbeat_is_kept_and_the_runner_shown(harness: ApiHarness) -> None:
    answer = await send(harness)
    assert (answer.status_code, answer.json()) == (200, {"wanted": [], "lease_seconds": 15.0})
    [runner] = (await harness.http.get("/runners")).json()["items"]
    assert (runner["id"], runner["state"], runner["awaiting_operator"]) == ("r1", "alive", [])


async def test_what_is_wanted_of_each_attempt(harness: ApiHarness) -> None:
    await harness.register()
    accepted, running, foreign, ended, canceled = [
        (await harness.dispatched(workspace="acme", lock_paths=[str(number)]))["id"] for number in range(5)
    ]
    for task_id in (running, ended, canceled):
        await harness.report(task_id, "running", attempt=1, runner_id="r1")
    await harness.report(foreign, "running", attempt=1, runner_id="r2")
    await harness.report(ended, "failed", attempt=1, runner_id="r1")
    await harness.http.post(f"/tasks/{canceled}/cancel")
    held = (accepted, running, foreign, ended, canceled, new_id())
    assert await wanted(harness, *held) == ["run", "run", "stop", "stop", "stop", "stop"]
    await harness.http.post(f"/tasks/{running}/locks/release", json={"reason": "stuck"})
    await harness.http.post(f"/tasks/{ended}/dispatch")
    assert await wanted(harness, running, ended, counter=2) == ["stop", "stop"]


async def test_many_attempts_are_answered_in_their_order(harness: ApiHarness) -> None:
    known = [(await harness.dispatched())["id"] for _ in range(3)]
    held = [known[number // 17] if number % 17 == 0 else new_id() for number in range(40)]
    assert await wanted(harness, *held) == ["run" if task_id in known else "stop" for task_id in held]


async def test_a_counter_that_goes_back_is_refused_and_not_kept(harness: ApiHarness) -> None:
    await send(harness, counter=5, host="first")
    body = problem(await send(harness, counter=4, host="second"), 409, "counter-went-back")
    assert (body["counter"], body["host"]) == (5, "first")
    assert (await harness.http.get("/runners")).json()["items"][0]["host"] == "first"
    assert (await send(harness, counter=5)).status_code == 200, "sent again after a lost answer"


@pytest.mark.parametrize("change", [{"runner_id": "a.b"}, {"pools": []}, {"counter": -1}, {"held": [{}]}])
async def test_what_is_no_heartbeat_is_refused(harness: ApiHarness, change: dict[str, Any]) -> None:
    problem(await send(harness, **change), 422, "invalid-request")
    assert await harness.parts.heartbeats.all() == []


async def test_a_web_page_cannot_send_one_without_asking(harness: ApiHarness) -> None:
    content = Heartbeat.model_validate(beat()).model_dump_json()
    answer = await harness.http.post(
        "/runner/heartbeat", content=content, headers={"content-type": "text/plain"}
    )
    problem(answer, 415, "not-json")


async def test_where_callbacks_need_a_token_heartbeats_need_that_one() -> None:
    async with api_harness(ApiConfig(callback_token="for runners")) as harness:
        task = await harness.dispatched()
        own = harness.tokens.mint(task["id"], 1, 0)
        for headers in ({}, {"X-Runner-Token": "x"}, {"X-Runner-Token": own}):
            answer = await harness.http.post("/runner/heartbeat", content=b"{", headers=headers)
            problem(answer, 401, "unauthorised")
        answer = await harness.http.post(
            "/runner/heartbeat", json=beat(), headers={"X-Runner-Token": "for runners"}
        )
        assert answer.status_code == 200


async def test_a_silent_runner_is_seen_on_its_tasks(harness: ApiHarness) -> None:
    task_id = (await harness.dispatched())["id"]
    await harness.report(task_id, "running", attempt=1, runner_id="r1")

    async def state() -> str | None:
        read = (await harness.http.get(f"/tasks/{task_id}")).json()
        return read["runner_state"]

    assert await state() is None, "it sends no heartbeats"
    await send(harness, task_id)
    seen = []
    for seconds in (0, 14.9, 0.1, 4.9, 0.1):
        harness.clock.at += timedelta(seconds=seconds)
        seen.append(await state())
    assert seen == ["alive", "alive", "suspected", "suspected", "lost"]
    assert (await harness.http.get("/runners")).json()["items"][0]["state"] == "lost"
    await harness.report(task_id, "failed", attempt=1, runner_id="r1")
    assert await state() is None


async def test_locks_kept_for_an_operator_are_raised(harness: ApiHarness) -> None:
    await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    await harness.http.put("/workspaces/other", json={"root": "/srv/other"})
    kept = (await harness.dispatched(**SHARED))["id"]
    ends = (await harness.dispatched(**{**SHARED, "workspace": "other"}))["id"]
    for task_id in (kept, ends):
        await harness.report(task_id, "running", attempt=1, runner_id="r1")
    await send(harness, kept, ends)
    await send(harness, runner_id="r2")
    assert 'towpath_runners{state="alive"} 2.0' in (await harness.http.get("/metrics")).text
    harness.clock.at += timedelta(seconds=21)
    await send(harness, runner_id="r2", counter=2)
    first, second = (await harness.http.get("/runners")).json()["items"]
    assert first["awaiting_operator"] == [{"task_id": kept, "attempt": 1}]
    assert second["awaiting_operator"] == []
    told = (await harness.http.get("/metrics")).text.splitlines()
    assert 'towpath_runners{state="alive"} 1.0' in told
    assert "towpath_heartbeats_fullness_ratio 0.002" in told
    assert 'towpath_runners{state="lost"} 1.0' in told
    assert "towpath_locks_awaiting_operator 1.0" in told


async def test_runners_that_take_turns_under_one_id_are_named(harness: ApiHarness) -> None:
    assert (await send(harness, instance="one", host="h1")).status_code == 200
    for number, (instance, host) in enumerate([("two", "h2"), ("one", "h1"), ("two", "h2")], start=2):
        said = Heartbeat.model_validate(beat(instance=instance, host=host, counter=number))
        await harness.parts.heartbeats.publish(said)
    (shown,) = (await harness.http.get("/runners")).json()["items"]
    assert shown["instance"] == "two"
    assert [(one["instance"], one["host"]) for one in shown["conflict"]] == [("one", "h1"), ("two", "h2")]
    assert "towpath_runner_conflicts 1.0" in (await harness.http.get("/metrics")).text.splitlines()
    harness.clock.at += timedelta(seconds=21)
    (shown,) = (await harness.http.get("/runners")).json()["items"]
    assert (shown["state"], shown["conflict"]) == ("lost", [])


async def test_an_attempt_of_another_instance_is_not_wanted_and_not_reported(harness: ApiHarness) -> None:
    task_id = (await harness.dispatched())["id"]
    await harness.report(task_id, "running", runner_id="r1", instance="one")
    answer = await send(harness, task_id, instance="one")
    assert [one["wanted"] for one in answer.json()["wanted"]] == ["run"]
    answer = await send(harness, task_id, instance="two", counter=2)
    assert [one["wanted"] for one in answer.json()["wanted"]] == ["stop"]
    refused = await harness.report(task_id, "succeeded", runner_id="r1", instance="two")
    problem(refused, 409, "not-your-attempt")
    assert (await harness.report(task_id, "succeeded", runner_id="r1", instance="one")).status_code == 200


async def test_a_lock_of_an_earlier_instance_waits_for_an_operator(harness: ApiHarness) -> None:
    """Its state directory was emptied: the id lives, but not what it had started."""
    await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    first, second = [
        (await harness.dispatched(**SHARED, lock_paths=[name]))["id"] for name in ("first", "second")
    ]
    await send(harness, first, instance="one")
    await harness.report(first, "running", attempt=1, runner_id="r1", instance="one")
    harness.clock.at += timedelta(seconds=21)
    for counter in range(1, 6):  # more than are kept
        assert (await send(harness, instance="two", counter=counter)).status_code == 200
    await harness.report(second, "running", attempt=1, runner_id="r1", instance="two")

    (shown,) = (await harness.http.get("/runners")).json()["items"]
    assert (shown["state"], shown["instance"]) == ("alive", "two")
    assert shown["awaiting_operator"] == [{"task_id": first, "attempt": 1}]
    states = [(await harness.http.get(f"/tasks/{one}")).json()["runner_state"] for one in (first, second)]
    assert states == ["lost", "alive"]
    why = (await harness.http.get(f"/tasks/{first}/why")).json()
    assert "on r1 (which is lost)" in why["sentence"]
    assert "towpath_locks_awaiting_operator 1.0" in (await harness.http.get("/metrics")).text.splitlines()


async def test_who_says_goodbye_is_gone_and_not_lost(harness: ApiHarness) -> None:
    await send(harness)
    await send(harness, runner_id="r2")
    assert (await send(harness, counter=2, leaving=True)).status_code == 200
    harness.clock.at += timedelta(seconds=21)
    assert [one["id"] for one in (await harness.http.get("/runners")).json()["items"]] == ["r2"]
    assert 'towpath_runners{state="lost"} 1.0' in (await harness.http.get("/metrics")).text.splitlines()
    problem(await send(harness, counter=1), 409, "counter-went-back")
    assert (await send(harness, counter=3)).status_code == 200, "the same runner, started again"
    assert len((await harness.http.get("/runners")).json()["items"]) == 2


async def test_who_leaves_with_something_in_hand_is_still_watched(harness: ApiHarness) -> None:
    task_id = (await harness.dispatched())["id"]
    await send(harness, task_id, leaving=True)
    (shown,) = (await harness.http.get("/runners")).json()["items"]
    assert shown["running_attempts"] == [{"task_id": task_id, "attempt": 1}]


async def test_a_lost_runner_has_no_attempt_that_has_ended_since(harness: ApiHarness) -> None:
    ended, goes_on = [(await harness.dispatched())["id"] for _ in range(2)]
    held = [{"task_id": task_id, "attempt": 1} for task_id in (ended, goes_on)]
    for task_id in (ended, goes_on):
        await harness.report(task_id, "running", attempt=1, runner_id="r1")
    await harness.report(ended, "failed", attempt=1, runner_id="r1")
    assert (await harness.http.post("/runner/heartbeat", json=beat(held=held))).status_code == 200

    async def runs() -> list[str]:
        (shown,) = (await harness.http.get("/runners")).json()["items"]
        return [one["task_id"] for one in shown["running_attempts"]]

    assert await runs() == [ended, goes_on], "it lives, and its answer may be under way"
    harness.clock.at += timedelta(seconds=21)
    assert await runs() == [goes_on]


async def test_a_lost_runner_is_forgotten_on_request(harness: ApiHarness) -> None:
    await send(harness, counter=7)
    problem(await harness.http.delete("/runners/r1"), 409, "runner-alive")
    harness.clock.at += timedelta(seconds=21)
    assert (await harness.http.delete("/runners/r1")).status_code == 204
    assert (await harness.http.get("/runners")).json()["items"] == []
    problem(await harness.http.delete("/runners/r1"), 404, "runner-not-found")
    await send(harness, counter=8)
    assert len((await harness.http.get("/runners")).json()["items"]) == 1, "it came back"


async def test_a_runner_whose_lock_waits_for_an_operator_is_not_forgotten(harness: ApiHarness) -> None:
    await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    task_id = (await harness.dispatched(**SHARED))["id"]
    await send(harness, task_id)
    await harness.report(task_id, "running", attempt=1, runner_id="r1")
    harness.clock.at += timedelta(seconds=21)
    body = problem(await harness.http.delete("/runners/r1"), 409, "runner-holds-lock")
    assert body["task_id"] == task_id


async def test_a_runner_is_lost_by_the_brokers_clock_alone(
    harness: ApiHarness,
) -> None:
    """This process's clock may be ahead; the runner lives."""
    await send(harness)
    ahead = harness.clock.at + timedelta(minutes=1)
    object.__setattr__(harness.parts, "clock", lambda: ahead)
    problem(await harness.http.delete("/runners/r1"), 409, "runner-alive")
    assert [one.runner_id for one, _ in await harness.parts.heartbeats.all()] == ["r1"]


async def test_a_runner_with_an_open_attempt_is_not_forgotten(harness: ApiHarness) -> None:
    await harness.register()
    locked = (await harness.dispatched(**SHARED))["id"]
    await harness.report(locked, "running", attempt=1, runner_id="r1")
    await send(harness, locked)
    harness.clock.at += timedelta(seconds=21)
    body = problem(await harness.http.delete("/runners/r1"), 409, "runner-holds-task")
    assert body["task_id"] == locked
    await harness.report(locked, "failed", attempt=1, runner_id="r1")
    assert (await harness.http.delete("/runners/r1")).status_code == 204


KEY, OTHER_KEY = "key." + "ab" * 32, "key." + "cd" * 32
GUARDED = ApiConfig(
    operator_tokens=(
        OperatorToken(Role.OPERATOR, digest_of("operator")),
        OperatorToken(Role.VIEWER, digest_of("viewer")),
    ),
    callback_token="for-runners-alone",
)


def headers(key: str | None, bearer: str | None = "operator") -> dict[str, str]:
    found = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return found | ({"X-Runner-Token": key} if key else {})


async def test_an_operator_may_be_a_runner_of_his_own_tasks_and_of_no_other() -> None:
    mine, others = runner_id_of("h", KEY), runner_id_of("h", OTHER_KEY)
    async with api_harness(GUARDED) as harness:

        async def beaten(runner_id: str, **by: str | None) -> int:
            said = beat(runner_id=runner_id, pools=[runner_id])
            answer = await harness.http.post("/runner/heartbeat", json=said, headers=headers(**by))
            return answer.status_code

        assert await beaten(mine, key=KEY) == 409, "it has no task"
        assert await beaten(others, key=KEY) == 401, "another runner's id"
        assert await beaten("r1", key=KEY) == 401, "a plain runner's id"
        assert await beaten(mine, key=KEY, bearer="viewer") == 403
        assert await beaten(mine, key=KEY, bearer=None) == 401
        assert await beaten(mine, key=None) == 401

        async def created(pool: str) -> str:
            body = {"command": ["true"], "pool": pool}
            answer = await harness.http.post("/tasks?dispatch=true", json=body, headers=headers(None))
            return str(answer.json()["id"])

        async def reported(task_id: str, status: str, runner_id: str, key: str = KEY) -> int:
            return (
                await harness.report(task_id, status, token=key, attempt=1, runner_id=runner_id)
            ).status_code

        own, foreign, plain = [await created(pool) for pool in (mine, others, "default")]
        assert await reported(own, "running", "host-1") == 401, "another runner's name in the trail"
        assert await reported(own, "running", mine, OTHER_KEY) == 401
        assert await reported(own, "running", mine) == 200
        assert await reported(foreign, "running", mine) == 401
        assert await reported(foreign, "running", others) == 401
        assert await reported(plain, "running", mine) == 401
        assert await reported(new_id(), "running", mine) == 401
        asked = {"text": "?", "runner_id": mine}
        path = f"/runner/tasks/{own}/questions"
        assert (await harness.http.post(path, json=asked, headers=headers(KEY))).status_code == 401
        assert await reported(own, "succeeded", mine) == 200


async def test_a_runner_with_a_key_speaks_of_its_one_open_task_alone() -> None:
    """Else an operator's token would fill the stream in which the control plane hears all runners."""
    mine, other = runner_id_of("h", KEY), runner_id_of("h", OTHER_KEY)
    async with api_harness(GUARDED) as harness:
        path = "/runner/heartbeat"

        async def created(pool: str) -> str:
            body = {"command": ["true"], "pool": pool}
            answer = await harness.http.post("/tasks?dispatch=true", json=body, headers=headers(None))
            return str(answer.json()["id"])

        async def sent(*held: str, **fields: Any) -> httpx.Response:
            said = beat(*held, **{"runner_id": mine, "pools": [mine], **fields})
            return await harness.http.post(path, json=said, headers=headers(KEY))

        async def known() -> list[str]:
            return [one.runner_id for one, _ in await harness.parts.heartbeats.all()]

        own, foreign, plain = [await created(pool) for pool in (mine, other, "default")]
        problem(await sent(own, pools=["default"]), 403, "forbidden")
        problem(await sent(own, pools=[mine, "default"]), 403, "forbidden")
        problem(await sent(own, new_id()), 403, "forbidden")
        problem(await sent(), 409, "nothing-held")
        problem(await sent(leaving=True), 409, "nothing-held")
        for unowned in (foreign, plain, new_id()):
            await sent(unowned)
        assert await known() == []
        said = (await sent(own)).json()
        assert said["wanted"] == [{"task_id": own, "attempt": 1, "wanted": "run"}]
        assert await known() == [mine]
        assert (await sent(counter=2, leaving=True)).status_code == 200
        assert await known() == []
        await harness.http.post(f"/tasks/{own}/cancel", headers=headers(None))
        said = (await sent(own, counter=3)).json()
        assert said["wanted"] == [{"task_id": own, "attempt": 1, "wanted": "stop"}]
        assert await known() == [], "its task has ended"


async def test_runners_are_filtered(harness: ApiHarness) -> None:
    await harness.http.put("/workspaces/acme", json={"root": "/srv/acme", "on_runner_lost": "hold"})
    task = await harness.dispatched(workspace="acme")
    await harness.report(task["id"], "running", runner_id="r1")
    await harness.until("running")
    await send(harness, task["id"])
    harness.clock.at += timedelta(seconds=21)
    await send(harness, runner_id="r2", pools=["gpu", "default"])
    await send(harness, runner_id="r3")

    async def found(**query: Any) -> list[str]:
        answer = await harness.http.get("/runners", params=query)
        return [one["id"] for one in answer.json()["items"]]

    assert await found(state="lost") == await found(awaiting=True) == ["r1"]
    assert await found(state="alive", pool="gpu") == ["r2"]
    assert await found(state=["alive", "lost"]) == ["r1", "r2", "r3"]
    assert await found(awaiting=False) == ["r2", "r3"]
    assert await found(awaiting=False, limit=1) == ["r2"]
    problem(await harness.http.get("/runners?host=h"), 422, "invalid-request")
