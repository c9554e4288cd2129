"""Every answer to a GET of state names the position that it certainly shows."""

from __future__ import annotations

from api.queries.as_of import AS_OF
from api.schema.openapi import STATUS_PATH
from tests.unit.api.api_harness import ApiHarness


async def as_of(harness: ApiHarness, path: str) -> str | None:
    answer = await harness.http.get(path)
    assert answer.is_success, answer.text
    return answer.headers.get(AS_OF)


async def test_an_answer_says_up_to_where_it_shows_the_log(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.dispatched(workspace="acme")
    await harness.until("granted")
    end = str(len(harness.events()))
    for path in (
        "/tasks",
        "/tasks/count",
        f"/tasks/{task['id']}",
        "/locks",
        "/workspaces",
        "/runners",
        "/dead",
    ):
        assert await as_of(harness, path) == end, path
    assert (await harness.http.head("/tasks")).headers[AS_OF] == end


async def test_a_list_is_as_old_as_the_read_model(harness: ApiHarness) -> None:
    await harness.create()
    await harness.create()
    await harness.until("created", 2)
    harness.read_model.behind = 1
    assert await as_of(harness, "/tasks") == await as_of(harness, "/tasks/count") == "1"
    assert await as_of(harness, "/workspaces") == "2"


async def test_the_past_is_as_of_then(harness: ApiHarness) -> None:
    await harness.register()
    task = await harness.dispatched(workspace="acme")
    await harness.until("granted")
    for path in (f"/tasks/{task['id']}?at=2", "/locks?at=2", "/workspaces/acme/locks?at=2"):
        assert await as_of(harness, path) == "2"


async def test_a_refusal_says_nothing(harness: ApiHarness) -> None:
    answer = await harness.http.get("/tasks?nothing=1")
    assert (answer.status_code, AS_OF in answer.headers) == (422, False)
    assert AS_OF not in (await harness.http.put("/workspaces/acme", json={"root": "/srv/acme"})).headers


def test_the_document_names_the_header_wherever_a_role_is_needed(harness: ApiHarness) -> None:
    paths = harness.app.openapi()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            says = AS_OF in operation["responses"].get("200", {}).get("headers", {})
            assert says == (method == "get" and "x-required-role" in operation), path
    assert STATUS_PATH in paths
