"""The history of a workspace's locks over HTTP, now and as it stood; and its contention."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api.routes.locks import lock_history
from tests.unit.api.api_harness import ApiHarness, problem

HISTORY = "/workspaces/acme/locks/history"


async def contended(harness: ApiHarness) -> tuple[str, str, str]:
    """One held a minute and failed, one waited that minute and holds, one was canceled while it waited."""
    await harness.register()
    first = await harness.dispatched(workspace="acme", title="first", lock_paths=["src"])
    await harness.until("granted")
    second = await harness.dispatched(workspace="acme", title="second", lock_paths=["src/api"])
    third = await harness.dispatched(workspace="acme", title="third", lock_paths=["src"])
    await harness.http.post(f"/tasks/{third['id']}/cancel")
    await harness.report(first["id"], "queued", runner_id="r1")
    await harness.report(first["id"], "running", runner_id="r1")
    harness.clock.at += timedelta(minutes=1)
    await harness.report(first["id"], "failed", exit_code=3, runner_id="r1")
    await harness.until("granted", 2)
    return first["id"], second["id"], third["id"]


async def get(harness: ApiHarness, url: str, **params: Any) -> Any:
    answer = await harness.http.get(url, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_claim_tells_how_long_it_waited_and_how_it_ended(harness: ApiHarness) -> None:
    first, second, third = await contended(harness)
    left, waits, ended = (await get(harness, HISTORY))["items"]
    assert [one["task_id"] for one in (left, waits, ended)] == [third, second, first]
    assert (ended["runner_id"], ended["cause"], ended["paths"]) == ("r1", "failed", ["src"])
    assert ended["token"] == ended["granted"]["seq"]
    assert (ended["granted"]["at"][14:16], ended["released"]["at"][14:16]) == ("00", "01")
    assert (waits["granted"]["at"][14:16], waits["released"], waits["cause"]) == ("01", None, None)
    assert (left["granted"], left["token"], left["cause"]) == (None, None, "canceled")
    assert left["left"]["at"] == "2026-03-01T12:00:00Z"


async def test_pages_show_each_claim_once(harness: ApiHarness) -> None:
    await contended(harness)
    whole = (await get(harness, HISTORY))["items"]
    found, cursor = list[Any](), None
    while True:
        page = await get(harness, HISTORY, limit=1, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == whole
    assert (await get(harness, "/workspaces/other/locks/history"))["items"] == []


async def test_the_history_as_it_stood(harness: ApiHarness) -> None:
    first, _, _ = await contended(harness)
    whole = {one["task_id"]: one for one in (await get(harness, HISTORY))["items"]}
    for seq in range(len(harness.log.events) + 1):
        answer = await harness.http.get(HISTORY, params={"at": seq})
        assert answer.headers["towpath-as-of"] == str(seq)
        then = {one["task_id"]: one for one in answer.json()["items"]}
        assert set(then) == {one for one, claim in whole.items() if claim["claimed"]["seq"] <= seq}
        for task_id, claim in then.items():
            for step in ("claimed", "granted", "left", "released"):
                mark = whole[task_id][step]
                assert claim[step] == (mark if mark is not None and mark["seq"] <= seq else None)
            assert (claim["token"] is None) == (claim["granted"] is None)
            assert (claim["cause"] is None) == (claim["left"] is None and claim["released"] is None)
    queued = next(one.seq for one in harness.log.events if one.event == "queued")
    before, after = [
        {one["task_id"]: one for one in (await get(harness, HISTORY, at=seq))["items"]}[first]
        for seq in (queued - 1, queued)
    ]
    assert (before["runner_id"], after["runner_id"]) == (None, "r1")
    problem(await harness.http.get(HISTORY, params={"at": 99}), 404, "beyond-the-log")
    harness.read_model.behind = 5
    problem(await harness.http.get(HISTORY, params={"at": 6}), 503, "busy")


async def test_contention_sums_up_waits_and_holds(harness: ApiHarness, monkeypatch: Any) -> None:
    _, second, third = await contended(harness)
    harness.clock.at += timedelta(minutes=2)
    found = await get(harness, "/workspaces/acme/contention")
    assert {name: found[name] for name in ("claims", "granted", "refused", "left", "waiting", "holding")} == {
        "claims": 3, "granted": 2, "refused": 0, "left": 1, "waiting": 0, "holding": 1,
    }  # fmt: skip
    assert found["waited"] == {"total_seconds": 60.0, "median_seconds": 0.0, "longest_seconds": 60.0}
    assert found["held"] == {"total_seconds": 180.0, "median_seconds": 120.0, "longest_seconds": 120.0}
    assert [one["path"] for one in found["paths"]] == ["src/api", "src"]
    assert found["paths"][1] == {"path": "src", "claims": 2, "waited_seconds": 0.0, "held_seconds": 60.0}
    assert found["longest"][0]["task_id"] == second
    (second_claim,) = [one for one in found["longest"] if one["task_id"] == second]
    later = await get(harness, "/workspaces/acme/contention", since=second_claim["claimed"]["seq"])
    assert ([one["task_id"] for one in later["longest"]], later["capped"]) == ([third], False)
    assert (await get(harness, "/workspaces/acme/contention", since="2026-03-01T12:00:30Z"))["claims"] == 0
    monkeypatch.setattr(lock_history, "MOST_CLAIMS", 2)
    monkeypatch.setattr(lock_history, "PART_CLAIMS", 1)
    capped = await get(harness, "/workspaces/acme/contention")
    assert (capped["claims"], capped["capped"]) == (2, True)
