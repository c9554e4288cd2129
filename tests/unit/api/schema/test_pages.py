"""Probes, metrics, the OpenAPI document and the page made from it."""

from __future__ import annotations

import asyncio
import re

from api.config import ApiConfig
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id, problem


async def test_liveness_looks_at_nothing_and_readiness_at_every_part(harness: ApiHarness) -> None:
    assert (await harness.http.get("/livez")).json() == {"status": "alive"}
    assert (await harness.http.get("/readyz")).json() == {"status": "ready", "parts": {"nats": "ok"}}
    harness.readiness["read-model"] = "900 events behind"
    body = problem(await harness.http.get("/readyz"), 503, "not-ready")
    assert body["parts"] == {"nats": "ok", "read-model": "900 events behind"}
    assert (await harness.http.get("/livez")).status_code == 200


async def test_readiness_that_hangs_is_not_ready() -> None:
    async def hanging() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async with api_harness(ApiConfig(ready_seconds=0.01), readiness=hanging) as harness:
        problem(await harness.http.get("/readyz"), 503, "not-ready")


async def test_metrics_count_by_route_and_outcome_and_hold_no_ids(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.report(task["id"], "running")
    await harness.report(task["id"], "running", attempt=9)
    await harness.report(new_id(), "running", "wrong")
    await harness.http.get(f"/tasks/{task['id']}")
    await harness.http.get("/nowhere/at/all")
    await harness.parts.view.caught_up(3)
    answer = await harness.http.get("/metrics")
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


async def test_two_applications_live_in_one_process(harness: ApiHarness) -> None:
    async with api_harness() as other:
        await other.create()
        assert "towpath_http_requests_total{" not in (await harness.http.get("/metrics")).text


async def test_the_document_names_every_route_and_problem(harness: ApiHarness) -> None:
    document = (await harness.http.get("/openapi.json")).json()
    operation = document["paths"]["/runner/tasks/{task_id}/status"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Report")
    text = (await harness.http.get("/openapi.json")).text
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in document["components"]["schemas"], reference
    assert "HTTPValidationError" not in text
    for path, item in document["paths"].items():
        for method, one in item.items():
            for status, response in one["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
