"""schemathesis against the API as people run it, from its own document: all checks, nothing found.

A real `towpath api` and `towpath projector` on a real NATS, and no runner: what is generated are commands
too, and nobody shall execute them. Generation is deterministic, so that a run says the same each time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from tests.support.nats import StartNats
from tests.support.readme import REPO
from tests.support.towpath import DEADLINE, Client, Home, free_port
from tests.support.waiting import eventually

ST = Path(sys.executable).with_name("schemathesis")
EXAMPLES_PER_OPERATION = 6
SECONDS = 900.0
STREAM = "/events/stream"
TOKEN = "operators' own"
TOKENS = {"TOWPATH_API_TOKENS": f"admin:{TOKEN}", "API_RUNNER_CALLBACK_TOKEN": "runners' own"}


@pytest.fixture
async def api(home: Home, start_nats: StartNats, request: pytest.FixtureRequest) -> Client:
    """An API without anybody who executes what it is given."""
    server, port = start_nats(), free_port()
    env = {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "control"),
        **getattr(request, "param", {}),
    }
    home.start("projector", **env)
    home.start("api", "--port", str(port), **env)
    url = f"http://127.0.0.1:{port}"
    await eventually(lambda: _is_ready(url), DEADLINE)
    return Client(home, url)


async def test_the_open_api_is_as_its_document_says(api: Client) -> None:
    number = str(EXAMPLES_PER_OPERATION)
    _judge(api, "--exclude-path", STREAM, "--phases", "examples,coverage,fuzzing", "--max-examples", number)


async def test_the_live_stream_is_as_its_document_says(api: Client) -> None:
    """By itself and without fuzzing: each of its answers stays open for a while."""
    _judge(api, "--include-path", STREAM, "--phases", "examples,coverage")


@pytest.mark.parametrize("api", [TOKENS], indirect=True)
async def test_the_guarded_api_is_as_its_document_says(api: Client) -> None:
    token = ("--header", f"Authorization: Bearer {TOKEN}", "--header", "X-Runner-Token: runners' own")
    _judge(api, "--phases", "examples", *token)


def _judge(api: Client, *options: str) -> None:
    found = api.home.program(
        ST, "run", f"{api.url}/openapi.json", "--checks", "all", "--generation-deterministic",
        "--continue-on-failure", "--no-color", *options,
        SCHEMATHESIS_HOOKS="tests.support.schemathesis_hooks", PYTHONPATH=str(REPO), seconds=SECONDS,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False
