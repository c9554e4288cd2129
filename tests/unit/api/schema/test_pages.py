"""Probes, metrics, the OpenAPI document and the page made from it."""

from __future__ import annotations

import asyncio
import re

from api.config import ApiConfig
from tests.unit.api.api_world import ApiWorld, api_world, new_id, problem


async def test_liveness_looks_at_nothing_and_readiness_at_every_part(world: ApiWorld) -> None:
    assert (await world.http.get("/livez")).json() == {"status": "alive"}
    assert (await world.http.get("/readyz")).json() == {"status": "ready", "parts": {"nats": "ok"}}
    world.readiness["read-model"] = "900 events behind"
    body = problem(await world.http.get("/readyz"), 503, "not-ready")
    assert body["parts"] == {"nats": "ok", "read-model": "900 events behind"}
    assert (await world.http.get("/livez")).status_code == 200


async def test_readiness_that_hangs_is_not_ready() -> None:
    async def hanging() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async with api_world(ApiConfig(ready_seconds=0.01), readiness=hanging) as world:
        problem(await world.http.get("/readyz"), 503, "not-ready")


async def test_metrics_count_by_route_and_outcome_and_hold_no_ids(world: ApiWorld) -> None:
    task = await world.dispatched()
    await world.report(task["id"], "running")
    await world.report(task["id"], "running", attempt=9)
    await world.report(new_id(), "running", "wrong")
    await world.http.get(f"/tasks/{task['id']}")
    await world.http.get("/nowhere/at/all")
    await world.parts.view.caught_up(3)
    answer = await world.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    for line in [
        'towpath_callbacks_total{outcome="recorded",transport="http"} 1.0',
        'towpath_callbacks_total{outcome="unknown-attempt",transport="http"} 1.0',
        'towpath_callbacks_total{outcome="unauthorised",transport="http"} 1.0',
        'towpath_http_requests_total{method="POST",route="/runner/tasks/{task_id}/status",status="200"} 1.0',
        'towpath_http_requests_total{method="GET",route="/tasks/{task_id}",status="200"} 1.0',
        'towpath_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        "towpath_events_seen_total 3.0",
        'towpath_callback_seconds_count{transport="http"} 3.0',
    ]:
        assert line in text
    assert task["id"] not in text


async def test_two_applications_live_in_one_process(world: ApiWorld) -> None:
    async with api_world() as other:
        await other.create()
        assert "towpath_http_requests_total{" not in (await world.http.get("/metrics")).text


async def test_the_document_names_every_route_and_problem(world: ApiWorld) -> None:
    document = (await world.http.get("/openapi.json")).json()
    operation = document["paths"]["/runner/tasks/{task_id}/status"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Report")
    text = (await world.http.get("/openapi.json")).text
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in document["components"]["schemas"], reference
    assert "HTTPValidationError" not in text
    for path, item in document["paths"].items():
        for method, one in item.items():
            for status, response in one["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
