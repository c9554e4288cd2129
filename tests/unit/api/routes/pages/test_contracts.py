"""The published contracts are served as they stand in the repository, and the page of NATS needs no more."""

from __future__ import annotations

import json
import re

import pytest

from infra.documents import CONTRACTS
from tests.unit.api.api_harness import ApiHarness

LINKS = {"/openapi.json", "/asyncapi", "/asyncapi.json", "/docs", "/schemas", "data:,"}


async def test_the_asyncapi_document_is_served(harness: ApiHarness) -> None:
    answer = await harness.http.get("/asyncapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == (CONTRACTS / "asyncapi.json").read_bytes()


async def test_the_openapi_document_is_the_published_one(harness: ApiHarness) -> None:
    published = json.loads((CONTRACTS / "openapi.json").read_text())
    assert (await harness.http.get("/openapi.json")).json() == published
    assert published["openapi"].startswith("3.1")


async def test_every_schema_is_listed_and_served(harness: ApiHarness) -> None:
    listed = (await harness.http.get("/schemas")).json()
    files = sorted((CONTRACTS / "schemas").iterdir())
    assert listed["schemas"] == [f"/schemas/{file.name}" for file in files]
    for file in files:
        answer = await harness.http.get(f"/schemas/{file.name}")
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.content == file.read_bytes()
    types = await harness.http.get(listed["types"])
    assert types.headers["content-type"] == "text/plain; charset=utf-8"
    assert types.content == (CONTRACTS / "towpath.d.ts").read_bytes()


@pytest.mark.parametrize("name", ["nothing.json", "..%2Fopenapi.json", "%2e%2e%2fasyncapi.json"])
async def test_what_is_no_schema_is_not_found(harness: ApiHarness, name: str) -> None:
    answer = await harness.http.get(f"/schemas/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_page_needs_nothing_from_elsewhere_and_no_link_is_dead(harness: ApiHarness) -> None:
    answer = await harness.http.get("/asyncapi")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert " src=" not in answer.text
    links = set(re.findall(r'href="([^"]+)"', answer.text))
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert links - {f"#{one}" for one in anchors} <= LINKS
    assert anchors <= set(re.findall(r'id="([^"]+)"', answer.text))


async def test_the_page_shows_every_channel(harness: ApiHarness) -> None:
    asyncapi = (await harness.http.get("/asyncapi")).text
    for channel in (await harness.http.get("/asyncapi.json")).json()["channels"].values():
        assert channel["address"] in asyncapi
