"""`/docs`: Swagger UI from a package, under a policy that lets in this host alone."""

from __future__ import annotations

import re

import pytest

from tests.unit.api.api_harness import ApiHarness, problem

FILES = {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"}


async def test_the_page_loads_its_own_files_and_holds_no_script(harness: ApiHarness) -> None:
    page = await harness.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page.text)) == {*FILES, "data:,"}
    assert set(re.findall(r"<script[^>]*>(.*?)</script>", page.text)) == {""}
    assert "//" not in page.text.replace("<!doctype", "")
    start = (await harness.http.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in start
    assert "//" not in start


@pytest.mark.parametrize("path", ["/docs", *(f"/{file}" for file in sorted(FILES))])
async def test_the_policy_allows_this_host_alone_and_no_script_inside(harness: ApiHarness, path: str) -> None:
    answer = await harness.http.get(path)
    assert answer.status_code == 200
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert not re.search(r"unsafe|https?:|\*", answer.headers["content-security-policy"])
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_only_the_files_of_the_page_are_served(harness: ApiHarness) -> None:
    for name in ("favicon-32x32.png", "..%2fmain.py", "nothing.js"):
        problem(await harness.http.get(f"/docs/{name}"), 404, "no-such-route")
