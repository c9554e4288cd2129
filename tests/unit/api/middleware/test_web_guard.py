"""A browser that somebody uses beside the API is no way into it, whichever route is asked."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.config import ApiConfig
from api.operator_tokens import parse_operator_tokens
from domain.validation.web_hosts import WebHosts, host_name
from tests.unit.api.api_harness import ApiHarness, api_harness, problem

OPEN = ApiConfig(hosts=("towpath.example", "*.lan.example"))
GUARDED = ApiConfig(hosts=OPEN.hosts, operator_tokens=parse_operator_tokens("admin:0123456789abcdef"))
ROUTES = [
    ("GET", "/tasks"),
    ("HEAD", "/livez"),
    ("GET", "/livez"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/events/stream"),
    ("GET", "/metrics"),
    ("GET", "/console/tasks"),
    ("GET", "/changes"),
    ("GET", "/session"),
    ("POST", "/session"),
    ("DELETE", "/session"),
    ("POST", "/tasks"),
    ("POST", "/runner/heartbeat"),
    ("POST", "/runner/tasks/0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11/status"),
    ("OPTIONS", "/tasks"),
    ("GET", "/nowhere"),
]


@pytest.mark.parametrize("config", [OPEN, GUARDED], ids=["open", "tokens"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_answers_under_a_foreign_name_or_to_a_foreign_page(
    method: str, path: str, config: ApiConfig
) -> None:
    async with api_harness(config) as harness:
        said = await _ask(
            harness, method, path, {"Host": "evil.example:8000", "X-Forwarded-Host": "localhost"}
        )
        _refused(said, 403, "foreign-host")
        for origin in ("https://evil.example", "null", "http://localhost:3000"):
            said = await _ask(harness, method, path, {"Origin": origin})
            _refused(said, 403, "foreign-origin")


async def _ask(harness: ApiHarness, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    json: Any = {"command": ["true"]} if method == "POST" else None
    return await harness.http.request(method, path, json=json, headers=headers)


def _refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    if answer.request.method != "HEAD":
        assert "TOWPATH_ALLOWED_HOSTS" in problem(answer, status, code)["detail"]


async def test_pages_of_our_own_and_of_configured_hosts_may_call() -> None:
    async with api_harness(OPEN) as harness:
        for origin in (
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "https://towpath.example",
        ):
            answer = await harness.http.post("/tasks", json={"command": ["true"]}, headers={"Origin": origin})
            assert answer.status_code == 201, origin


async def test_exactly_one_host_is_named() -> None:
    async with api_harness(OPEN) as harness:
        twice = [("Host", "localhost"), ("Host", "evil.example")]
        problem(await harness.http.get("/livez", headers=twice), 400, "bad-host")


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000",
        "203.0.113.7", "[fe80::1%25eth0]:80", "towpath.example", "Towpath.Example.:443", "a.lan.example",
        "b.a.lan.example:1", "localhost:",
    ],
)  # fmt: skip
def test_addresses_and_known_names_are_served(host: str) -> None:
    assert WebHosts(OPEN.hosts).serves(host)


@pytest.mark.parametrize(
    "host",
    [
        "", " ", "evil.example", "localhost.evil.example", "evil.localhost.example", "lan.example",
        "xlan.example",
        "localhost:evil", "localhost@evil.example", "user@localhost", "localhost/", "[::1",
        "[::1]x", "[localhost]",
        "127.0.0.1.evil.example", "0x7f.1", "2130706433", "towpath.example.evil", "towpath.example:99999999",
        "localhost,evil.example", "localhost evil", "xn--.lan.example\u0000",
    ],
)  # fmt: skip
def test_other_names_are_foreign(host: str) -> None:
    assert not WebHosts(OPEN.hosts).serves(host)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://localhost", "localhost", True),
        ("http://localhost:80", "localhost", True),
        ("https://towpath.example", "towpath.example", True),
        ("https://towpath.example:9000", "localhost:8000", True),
        ("http://192.0.2.1:8000", "192.0.2.1:8000", True),
        ("http://192.0.2.1:8000", "192.0.2.2:8000", False),
        ("http://192.0.2.1:8001", "192.0.2.1:8000", False),
        ("http://localhost:8001", "localhost:8000", False),
        ("https://localhost", "localhost", True),
        ("file://", "localhost", False),
        ("null", "localhost", False),
        ("", "localhost", False),
        ("http://[", "localhost", False),
        ("http://localhost:x", "localhost", False),
        ("http://localhost.evil.example", "localhost", False),
        ("http://localhost http://evil.example", "localhost", False),
        ("chrome-extension://abcdef", "localhost", False),
        ("http://user@localhost", "localhost", False),
    ],
)
def test_an_origin_is_ours_where_name_and_port_are(origin: str, host: str, own: bool) -> None:
    assert WebHosts(OPEN.hosts).own_origin(origin, host) is own


@pytest.mark.parametrize(
    "name", ["http://towpath.example", "a b", "*", "*.", "a/b", "*.127.0.0.1", "a,b", "ä.example"]
)
def test_a_configured_host_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="host names"):
        host_name(name)
