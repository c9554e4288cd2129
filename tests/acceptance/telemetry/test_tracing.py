"""One task, one trace: from the dispatch request over NATS or HTTP to the runner's process and back."""

from __future__ import annotations

import httpx
import pytest

from tests.support.observers.collector import Collector, Seen, collecting
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

CALLERS_TRACE, CALLERS_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}
SAYS_ITS_TRACE = ["sh", "-c", "echo $TRACEPARENT > trace.txt"]
OTEL = "OTEL_EXPORTER_OTLP_ENDPOINT"

OVER_NATS = [
    "POST /tasks/{task_id}/dispatch > append task dispatched > append lock granted > dispatch lock granted"
    " > submit to default > attempt > process",
    "POST /tasks/{task_id}/dispatch > append task dispatched > append lock granted > dispatch lock granted"
    " > submit to default > attempt > report queued > take report > append task queued",
    "POST /tasks/{task_id}/dispatch > append task dispatched > append lock granted > dispatch lock granted"
    " > submit to default > attempt > report running > take report > append task running",
    "POST /tasks/{task_id}/dispatch > append task dispatched > append lock granted > dispatch lock granted"
    " > submit to default > attempt > report succeeded > take report > append task succeeded",
    "POST /tasks/{task_id}/dispatch > append task dispatched > append lock released",
]
OVER_HTTP = [
    "POST /tasks/{task_id}/dispatch > append task dispatched > dispatch task dispatched > append task queued",
    "POST /tasks/{task_id}/dispatch > append task dispatched > dispatch task dispatched"
    " > submit to default > attempt > process",
    "POST /tasks/{task_id}/dispatch > append task dispatched > dispatch task dispatched > submit to default"
    " > attempt > report succeeded > POST /runner/tasks/{task_id}/status > append task succeeded",
]


def paths(spans: list[Seen], above: str) -> dict[str, Seen]:
    """Each span of a trace under the names of all that is above it; `above` is the caller's span."""
    known = {span.id: span for span in spans}

    def path(span: Seen) -> str:
        if span.parent == above:
            return span.name
        return f"{path(known[span.parent])} > {span.name}"

    return {path(span): span for span in spans}


async def trace_of_dispatch(up: Up, task_id: str, collector: Collector, wanted: list[str]) -> dict[str, Seen]:
    answer = httpx.post(f"{up.url}/tasks/{task_id}/dispatch", headers=CALLER, timeout=30)
    assert answer.status_code == 202, answer.text
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert task["status"] == "succeeded"

    def arrived() -> dict[str, Seen]:
        spans = collector.of_trace(CALLERS_TRACE)
        ids = {span.id for span in spans} | {CALLERS_SPAN}
        assert all(span.parent in ids for span in spans), "some parents are still to come"
        found = paths(spans, CALLERS_SPAN)
        assert set(wanted) <= set(found), sorted(found)
        return found

    return await eventually(arrived, DEADLINE)


async def test_a_trace_goes_over_nats_to_the_process_and_back(home: Home) -> None:
    with collecting() as collector:
        up = home.up(**{OTEL: collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"})
        root = up.workspace("shop")
        task_id = up.create(SAYS_ITS_TRACE, dispatch=False, workspace="shop", lock_paths=["src"])
        found = await trace_of_dispatch(up, task_id, collector, OVER_NATS)
        assert up.server.interrupt() == 0
    process = found[OVER_NATS[0]]
    _, trace, span, _ = (root / "trace.txt").read_text().strip().split("-")
    assert (trace, span) == (CALLERS_TRACE, process.id)
    assert process.attributes["process.exit.code"] == 0
    attempt = found[OVER_NATS[0].removesuffix(" > process")]
    assert attempt.begin <= process.begin < process.end <= attempt.end
    services = {span.name: span.service for span in found.values()}
    assert services["POST /tasks/{task_id}/dispatch"] == "towpath-api"
    assert (services["append lock granted"], services["process"]) == ("towpath-projector", "towpath-runner")
    assert {span.attributes["towpath.task_id"] for span in found.values()} == {task_id}
    assert [path for path, span in found.items() if span.failed] == []
    ended = found[OVER_NATS[3]]
    assert ended.attributes["towpath.sequence"] == up_seq(found, "append task succeeded")


def up_seq(found: dict[str, Seen], name: str) -> str | int:
    """The sequence that the one span of this name says."""
    (span,) = [span for path, span in found.items() if path.endswith(f"> {name}")]
    return span.attributes["towpath.sequence"]


async def test_a_trace_goes_over_http_to_a_push_runner_and_back(home: Home) -> None:
    port = free_port()
    with collecting() as collector:
        otel = {OTEL: collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_SERVICE_NAME": "ours"}
        up = home.up(HOST_RUNNER_URL=f"http://127.0.0.1:{port}", **otel)
        options = ("--no-nats", "--listen", f"127.0.0.1:{port}", "--api-url", up.url, "--root", home.path)
        runner = home.start("runner", *options, TOWPATH_DATA_DIR=str(home.path / "host"), **otel)
        await eventually(lambda: [one["state"] for one in up.get("/runners")["items"]] == ["alive"], DEADLINE)
        task_id = up.create(["true"], dispatch=False)
        found = await trace_of_dispatch(up, task_id, collector, OVER_HTTP)
        assert [server.interrupt() for server in (runner, up.server)] == [0, 0]
    assert {span.service for span in found.values()} == {"ours"}
    assert "/runner/heartbeat" not in {span.attributes.get("url.path") for span in collector.spans}


async def test_a_collector_that_is_away_is_in_nobodys_way(home: Home) -> None:
    up = home.up(**{OTEL: f"http://127.0.0.1:{free_port()}"})
    task_id = up.create(["true"])
    await eventually(lambda: up.ended(task_id), DEADLINE)
    assert up.task(task_id)["status"] == "succeeded"
    assert up.server.interrupt() == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({OTEL: "localhost:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT: give a URL"),
        ({OTEL: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({OTEL: "http://c", "OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
    ],
)
def test_what_cannot_be_exported_is_said_at_the_start(home: Home, given: dict[str, str], words: str) -> None:
    for command in ("up", "runner"):
        ended = home.run(command, **given)
        assert (ended.returncode, words in ended.stderr) == (2, True), ended.stderr
