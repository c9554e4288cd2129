"""`/console/`: one page for every path, files that never change, and help where nothing is built."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.unit.api.api_harness import ApiHarness, api_harness, problem

DIGEST = "0123456789abcdef"
FILE = f"/console/a/{DIGEST}/console.js"
SCRIPT = b"console.log('towpath')"
PAGE = '<meta name="towpath-root" content="%ROOT%"><script src="%ROOT%/console/a/x/console.js"></script>'
HTML = {"Accept": "text/html,application/xhtml+xml"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "towpath",
}


@pytest.fixture
async def built(tmp_path: Path) -> AsyncIterator[ApiHarness]:
    """An API with a bundle of one script."""
    files = tmp_path / "a" / DIGEST
    files.mkdir(parents=True)
    (files / "console.js").write_bytes(SCRIPT)
    (files / "console.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "secret.js").write_text("not yours")
    async with api_harness(console=tmp_path) as made:
        yield made


async def test_browsers_are_led_to_the_console_and_programs_are_not(built: ApiHarness) -> None:
    for path in ("/", "/console"):
        answer = await built.http.get(path, headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    problem(await built.http.get("/"), 404, "no-such-route")


@pytest.mark.parametrize("path", ["", "tasks", "tasks/0198", "a", "a/b", "%2e%2e/secret.js", "tasks?at=7"])
async def test_every_path_answers_the_same_page_that_nothing_stores(built: ApiHarness, path: str) -> None:
    answer = await built.http.get(f"/console/{path}")
    assert answer.status_code == 200
    assert answer.text == PAGE.replace("%ROOT%", "")
    assert answer.headers["cache-control"] == "no-store"
    assert_headers(answer)


def assert_headers(answer: httpx.Response) -> None:
    rules = answer.headers["content-security-policy"].split("; ")
    assert dict(rule.split(" ", 1) for rule in rules) == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def test_behind_a_proxy_every_address_has_its_path(built: ApiHarness) -> None:
    transport = httpx.ASGITransport(built.app, root_path="/tow&path")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        assert (await http.get("/tow&path/console/tasks")).text == PAGE.replace("%ROOT%", "/tow&amp;path")
        assert (await http.get("/tow&path/", headers=HTML)).headers["location"] == "/tow&path/console/"


async def test_files_never_change_and_were_compressed_before(built: ApiHarness) -> None:
    for coding, sent in (
        ("gzip, deflate", "gzip"), ("GZIP;q=0.5", "gzip"), ("identity", None), ("br", None),
        ("br;q=0, gzip;q=0", None), ("gzip; q=0.000", None),
    ):  # fmt: skip
        answer = await built.http.get(FILE, headers={"Accept-Encoding": coding})
        assert answer.content == SCRIPT
        assert answer.headers.get("content-encoding") == sent
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert_headers(answer)


@pytest.mark.parametrize(
    "path",
    [
        f"{DIGEST}/other.js",
        f"{DIGEST}/console.js.gz",
        f"{DIGEST}/..%2f..%2fsecret.js",
        "fedcba9876543210/console.js",
        "../secret.js",
        f"{DIGEST}/index.html",
    ],
)
async def test_nothing_else_is_served_and_its_absence_is_not_stored(built: ApiHarness, path: str) -> None:
    answer = await built.http.get(f"/console/a/{path}")
    if answer.headers["content-type"].startswith("text/html"):
        assert answer.text == PAGE.replace(
            "%ROOT%", ""
        )  # a path of the console, as the client has resolved it
        return
    problem(answer, 404, "no-such-route")
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_bundle_the_page_tells_what_to_run(tmp_path: Path) -> None:
    async with api_harness(console=tmp_path / "nowhere") as harness:
        answer = await harness.http.get("/console/", headers=HTML)
        assert answer.status_code == 200
        assert "make console" in answer.text
        assert_headers(answer)
        problem(await harness.http.get(FILE), 404, "no-such-route")
        assert (await harness.http.get("/tasks")).status_code == 200
