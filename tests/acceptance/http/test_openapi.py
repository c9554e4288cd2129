"""schemathesis against the API as people run it, from its own document: all checks, nothing found.

A real `towpath api` and `towpath projector` on a real NATS, and no runner: what is generated are commands
too, and nobody shall execute them. Generation is deterministic, so that a run says the same each time. The
log is not empty when it begins, so that lists have items and the document's examples lead somewhere; each
operation must have succeeded at least once, and lies in the document must be found.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import StartNats, connect
from tests.support.observers.schemathesis_hooks import ANSWERS_FILE, CONSOLES, TASK
from tests.support.ports import free_port
from tests.support.repository import REPO
from tests.support.towpath import DEADLINE, Client, Home, Json
from tests.support.waiting import eventually

pytestmark = pytest.mark.long
ST = Path(sys.executable).with_name("schemathesis")
EXAMPLES_PER_OPERATION = "6"
SECONDS = 600.0
STREAMS = ("/events/stream", "/changes")
STREAM_SECONDS = "2"  # how long a stream that stays silent is listened to
TOKEN = "operators-own-token"
TOKENS = {"TOWPATH_API_TOKENS": f"admin:{TOKEN}", "API_RUNNER_CALLBACK_TOKEN": "runners-own-token"}
GUARDED = ("--header", f"Authorization: Bearer {TOKEN}", "--header", "X-Runner-Token: runners-own-token")
OF_A_QUESTION = {
    "POST /runner/tasks/{task_id}/questions",
    "POST /tasks/{task_id}/questions/{question_id}/answer",
}
"""The one task that runs is canceled on the way; `tests/acceptance/questions` asks and answers."""
OUTPUT = "/tasks/{task_id}/output"
ELSEWHERE = [part for path in (*STREAMS, OUTPUT) for part in ("--exclude-path", path)]
"""The streams have a test of their own. The tasks here have no runner that could be asked for output."""
LATER = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c12"
Document = dict[str, Any]
Lie = Callable[[Document], object]


class Api(Client):
    """An API without anybody who executes what it is given."""

    def __init__(self, home: Home, server: EmbeddedNats, **settings: str) -> None:
        port = free_port()
        super().__init__(home, f"http://127.0.0.1:{port}")
        self.server = server
        env = {
            "TOWPATH_NATS_URL": server.url,
            "TOWPATH_NATS_USER": server.control.user,
            "TOWPATH_NATS_PASSWORD": server.control.password or "",
            "TOWPATH_DATA_DIR": str(home.path / "control"),
            "TOWPATH_SUBMIT_DEADLINE_SECONDS": "600",
            "TOWPATH_NOTIFY": str(home.path / "notify.toml"),  # the notifier's, whose state the API reads
            **settings,
        }
        home.start("projector", **env)
        home.start("api", "--port", str(port), **env)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
async def api(home: Home, start_nats: StartNats, request: pytest.FixtureRequest) -> Api:
    """Ready; a test may give it settings."""
    api = Api(home, start_nats(), **getattr(request, "param", {}))
    await eventually(api.is_ready, DEADLINE)
    return api


@pytest.fixture
async def busy(api: Api) -> Api:
    """With the document's example task, a lock that is held and waited for, runners, and dead letters."""
    await _write_dead_letters(api)
    api.workspace("shop")
    claim: Json = {"pool": "mine", "workspace": "shop"}
    held = api.create(["true"], id=TASK, title="holds", lock_paths=["src"], **claim)
    api.create(["true"], title="waits", lock_paths=["src/api"], labels={"team": "blue"}, **claim)
    await eventually(lambda: held in api.holders(), DEADLINE)
    api.post(f"/runner/tasks/{held}/status", {"status": "running", "attempt": 1, "runner_id": "mine-1"})
    question = {"question_id": "acme-api", "text": "Go on?", "choices": ["yes"], "attempt": 1}
    api.post(f"/runner/tasks/{held}/questions", question)
    holds = [{"task_id": held, "attempt": 1}]
    beat: Json = {"runner_id": "mine-1", "pools": ["mine"], "host": "here", "capacity": 2, "counter": 1}
    api.post("/runner/heartbeat", {**beat, "runner_id": "host-9"})  # the document's example of a lost one

    def is_lost() -> bool:
        return any((one["id"], one["state"]) == ("host-9", "lost") for one in api.get("/runners")["items"])

    await eventually(is_lost, DEADLINE)
    api.post("/runner/heartbeat", {**beat, "held": holds})
    return api


async def _write_dead_letters(api: Api) -> None:
    """One that no replay can help, then one that came before its task."""
    ended = f"/runner/tasks/{api.create(['true'], pool='mine')}/status"
    api.post(ended, {"status": "succeeded"})
    assert httpx.post(api.url + ended, json={"status": "failed"}).status_code == 409
    client = await connect(api.server.control_url)
    early = {"status": "queued", "attempt": 1, "runner_id": "mine-1"}
    await client.jetstream().publish(f"towpath.report.{LATER}", json.dumps(early).encode())
    await client.close()
    await eventually(lambda: len(api.get("/dead")["items"]) == 2, DEADLINE)
    api.create(["true"], id=LATER, pool="mine")


async def test_the_open_api_is_as_its_document_says(busy: Api) -> None:
    _judge(busy, *ELSEWHERE, "--max-examples", EXAMPLES_PER_OPERATION)
    others = {f"GET {path}" for path in (*STREAMS, OUTPUT)}
    assert _never_succeeded(busy) - OF_A_QUESTION == others | set(CONSOLES)


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_live_stream_is_as_its_document_says(busy: Api, stream: str) -> None:
    """By itself and without coverage: each of its answers stays open for a while."""
    _judge(busy, "--include-path", stream, "--phases", "examples,fuzzing", "--max-examples", "8",
           "--request-timeout", STREAM_SECONDS)  # fmt: skip
    assert f"GET {stream}" not in _never_succeeded(busy)


@pytest.mark.parametrize("api", [TOKENS], indirect=True)
async def test_the_guarded_api_is_as_its_document_says(api: Api) -> None:
    _judge(api, *ELSEWHERE, "--phases", "examples,coverage", "--mode", "positive", *GUARDED)


def _more_is_promised(document: Document) -> object:
    return document["components"]["schemas"]["Versions"]["required"].append("flavour")


def _an_answer_is_left_out(document: Document) -> object:
    return document["paths"]["/tasks/{task_id}"]["get"]["responses"].pop("404")


def _more_is_taken(document: Document) -> object:
    (limit,) = [one for one in document["paths"]["/runners"]["get"]["parameters"] if one["name"] == "limit"]
    return limit["schema"].update(maximum=100_000)


def _less_is_taken(document: Document) -> object:
    (limit,) = [one for one in document["paths"]["/runners"]["get"]["parameters"] if one["name"] == "limit"]
    return limit["schema"].update(maximum=10)


def _a_token_is_asked_for(document: Document) -> object:
    return document["paths"]["/version"]["get"].update(security=[{"operator": []}])


LIES: dict[str, tuple[str, Lie]] = {
    '"flavour" is a required property': ("/version", _more_is_promised),
    "API accepts requests without authentication": ("/version", _a_token_is_asked_for),
    "Undocumented status code": ("/tasks/{task_id}", _an_answer_is_left_out),
    "Schema-valid request rejected": ("/runners", _more_is_taken),
    "Schema-violating request accepted": ("/runners", _less_is_taken),
}


async def test_lies_in_the_document_are_found(api: Api) -> None:
    document = httpx.get(f"{api.url}/openapi.json").text
    for found, (path, lie) in LIES.items():
        changed = json.loads(document)
        lie(changed)
        file = api.home.path / "lie.json"
        file.write_text(json.dumps(changed))
        told = _run(api, str(file), "--url", api.url, "--include-path", path, "--phases", "examples,coverage")
        assert told.returncode == 1, told.stdout[-4000:]
        assert found in told.stdout, told.stdout[-4000:]


def _judge(api: Api, *options: str) -> None:
    found = _run(api, f"{api.url}/openapi.json", *options)
    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]


def _run(api: Api, *options: str) -> subprocess.CompletedProcess[str]:
    """All checks and phases, unless `options` say otherwise; always the same requests."""
    given = ("--checks", "all", "--continue-on-failure", "--generation-deterministic", "--no-color")
    env = {"SCHEMATHESIS_HOOKS": "tests.support.observers.schemathesis_hooks", "PYTHONPATH": str(REPO)}
    answers = {ANSWERS_FILE: str(_answers(api))}
    return api.home.program(ST, "run", *given, *options, seconds=SECONDS, **env, **answers)


def _never_succeeded(api: Api) -> set[str]:
    """Operations of the document that no request succeeded with: what they answer then was not judged."""
    lines = [line.split(" ", 1) for line in _answers(api).read_text().splitlines()]
    succeeded = {operation for status, operation in lines if status.startswith("2")}
    paths = api.get("/openapi.json")["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item} - succeeded


def _answers(api: Api) -> Path:
    return api.home.path / "answers.txt"
