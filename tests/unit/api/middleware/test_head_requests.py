"""`HEAD` answers what `GET` answers, without the body."""

from __future__ import annotations

import pytest

from api.middleware.bodies import READS
from infra.documents.roles_table import roles_by_route
from tests.unit.api.api_harness import ApiHarness

STREAMS = ("/events/stream", "/changes")
GETS = sorted(path for method, path in roles_by_route() if method == "GET")


@pytest.fixture
async def ids(harness: ApiHarness) -> dict[str, str]:
    await harness.register()
    task = await harness.create()
    some = {"workspace": "acme", "seq": "1", "name": "task.v1.json", "question_id": "q"}
    some |= {"digest": "0", "path": "tasks"}
    return {"task_id": task["id"], **some}


def test_there_are_routes_to_ask() -> None:
    assert {"/tasks", "/livez", "/docs", "/openapi.json", *STREAMS} <= set(GETS)
    assert "HEAD" in READS


@pytest.mark.parametrize("path", [path for path in GETS if path not in STREAMS])
async def test_head_is_get_without_the_body(harness: ApiHarness, ids: dict[str, str], path: str) -> None:
    url = path.replace(":path", "").format(**ids)
    got, head = await harness.http.get(url), await harness.http.head(url)
    assert head.status_code == got.status_code
    assert head.content == b""
    changing = {"content-length"} if path in ("/metrics", "/readyz") else set()
    assert {k: v for k, v in head.headers.items() if k not in changing} == {
        k: v for k, v in got.headers.items() if k not in changing
    }


@pytest.mark.parametrize("path", STREAMS)
async def test_a_live_stream_answers_its_headers_and_ends(harness: ApiHarness, path: str) -> None:
    head = await harness.http.head(f"{path}?after_seq=0")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert harness.app.state.streams.open == 0


async def test_head_is_refused_where_get_is_and_named_where_it_works(harness: ApiHarness) -> None:
    assert (await harness.http.head("/runner/heartbeat")).status_code == 405
    assert (await harness.http.head("/nowhere")).status_code == 404
    refused = await harness.http.request("PATCH", "/tasks")
    assert refused.headers["allow"] == "GET, HEAD, POST"
