"""What Prometheus scrapes, and that docs, dashboard and alert rules name nothing else."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.locks.statistics import Spread
from domain.ports.queues import Backlog
from infra.deployment import DEPLOYMENT
from infra.documents.write import DOCS
from tests.support.waiting import eventually
from tests.unit.api.api_harness import ApiHarness

SHARED = {"workspace": "acme", "execution_mode": "shared-workspace"}
DASHBOARD = json.loads((DEPLOYMENT / "grafana" / "towpath.json").read_text())
RULES = (DEPLOYMENT / "prometheus" / "alerts.yaml").read_text()


async def scraped(harness: ApiHarness) -> dict[str, float]:
    """Sample with its labels, as text, to value."""
    text = (await harness.http.get("/metrics")).text
    return {
        one.name + "".join(f" {name}={value}" for name, value in sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def beat(**fields: Any) -> dict[str, Any]:
    return {"runner_id": "r1", "pools": ["default"], "host": "h", "capacity": 4, "counter": 1, **fields}


async def test_tasks_events_locks_and_lag(harness: ApiHarness) -> None:
    await harness.register()
    first = await harness.dispatched(**SHARED)
    harness.clock.at += timedelta(seconds=3)
    await harness.dispatched(**SHARED)
    found = await scraped(harness)
    assert (found["towpath_tasks status=dispatched"], found["towpath_locks state=held"]) == (2, 1)
    assert (found["towpath_locks state=waiting"], found["towpath_locks state=due"]) == (1, 0)
    assert found["towpath_events_total type=task.dispatched"] == 2

    harness.clock.at += timedelta(seconds=7)
    await harness.report(first["id"], "running", attempt=1)
    await harness.report(first["id"], "succeeded", attempt=1)
    await eventually(lambda: sum(harness.parts.view.figures.lock_waits.counts) == 2)
    found = await scraped(harness)
    assert found["towpath_events_total type=lock.released"] == 1
    assert (found["towpath_lock_hold_seconds_count"], found["towpath_lock_hold_seconds_sum"]) == (1, 10)
    assert (found["towpath_lock_wait_seconds_count"], found["towpath_lock_wait_seconds_sum"]) == (2, 7)
    assert found["towpath_lock_wait_seconds_bucket le=0.01"] == 1
    assert found["towpath_projection_lag_events projection=read-model"] == 0

    harness.read_model.behind = 2
    harness.clock.at += timedelta(seconds=5)
    found = await scraped(harness)
    assert found["towpath_projection_lag_events projection=read-model"] > 2
    assert found["towpath_projection_lag_seconds projection=read-model"] == 15
    assert found["towpath_projection_lag_seconds projection=view"] == 0


async def test_how_far_the_queues_are_behind(harness: ApiHarness) -> None:
    harness.parts.backlogs.found["dispatch"] = Backlog(3, harness.clock.at - timedelta(seconds=4))
    found = await scraped(harness)
    assert found["towpath_projection_lag_events projection=dispatch"] == 3
    assert found["towpath_projection_lag_seconds projection=dispatch"] == 4
    assert math.isnan(found["towpath_projection_lag_events projection=unused"])


async def test_refusals_by_reason(harness: ApiHarness) -> None:
    task = await harness.dispatched()
    await harness.http.post(f"/tasks/{task['id']}/dispatch")
    await harness.report(task["id"], "running", attempt=9)
    found = await scraped(harness)
    refused = {name: value for name, value in found.items() if name.startswith("towpath_refusals_total")}
    assert sum(refused.values()) == 2
    assert refused["towpath_refusals_total reason=unknown-attempt"] == 1


async def test_reports_that_wait_on_runners_that_are_not_lost(harness: ApiHarness) -> None:
    await harness.http.post("/runner/heartbeat", json=beat(outbox=3))
    await harness.http.post("/runner/heartbeat", json=beat(runner_id="r2"))
    assert (await scraped(harness))["towpath_runner_outbox_reports"] == 3
    harness.clock.at += timedelta(hours=1)
    assert (await scraped(harness))["towpath_runner_outbox_reports"] == 0


def test_a_spread_counts_each_value_under_its_bound() -> None:
    spread = Spread((1.0, 2.0))
    for value in (-1.0, 1.0, 1.5, 9.0):
        spread.note(value)
    assert (spread.counts, spread.total) == ([2, 1, 1], 11.5)


async def families(harness: ApiHarness) -> set[str]:
    """Names as they are scraped: counters with `_total`, histograms without their endings."""
    text = (await harness.http.get("/metrics")).text
    kinds = dict(re.findall(r"(?m)^# TYPE (towpath_\w+) (\w+)$", text))
    return {name for name in kinds if not name.endswith("_created")}


def named_in(text: str) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\btowpath_[a-z_]+", text)}


async def test_the_page_lists_every_metric(harness: ApiHarness) -> None:
    assert set(re.findall(r"(?m)^\| `(\w+)`", (DOCS / "metrics.md").read_text())) == await families(harness)


@pytest.mark.parametrize("text", [RULES, json.dumps(DASHBOARD)], ids=["rules", "dashboard"])
async def test_only_metrics_that_exist_are_named(harness: ApiHarness, text: str) -> None:
    assert named_in(text) <= await families(harness)


def test_the_dashboard_shows_every_metric_of_the_page() -> None:
    page = set(re.findall(r"(?m)^\| `(\w+)`", (DOCS / "metrics.md").read_text()))
    assert named_in(json.dumps(DASHBOARD["panels"])) == page
