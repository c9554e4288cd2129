"""Roles: what each token may do, and how events name who did it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from api.app import described
from api.auth import ROLE_KEY
from api.config import ApiConfig, Role
from api.operator_tokens import parse_operator_tokens
from tests.unit.api.api_harness import ApiHarness, api_harness, problem

TOKENS = {role: f"{role.label}-token" for role in Role}
TASK = "01990000-0000-7000-8000-000000000001"
LEAST = {
    ("get", "/tasks"): Role.VIEWER,
    ("get", "/tasks/count"): Role.VIEWER,
    ("post", "/tasks/bulk"): Role.OPERATOR,
    ("get", f"/tasks/{TASK}"): Role.VIEWER,
    ("get", f"/tasks/{TASK}/why"): Role.VIEWER,
    ("get", f"/tasks/{TASK}/attempts"): Role.VIEWER,
    ("get", f"/tasks/{TASK}/output"): Role.VIEWER,
    ("get", "/locks"): Role.VIEWER,
    ("get", "/runners"): Role.VIEWER,
    ("get", "/workspaces"): Role.VIEWER,
    ("get", "/workspaces/acme"): Role.VIEWER,
    ("get", "/workspaces/acme/locks"): Role.VIEWER,
    ("get", "/workspaces/acme/locks/history"): Role.VIEWER,
    ("get", "/workspaces/acme/contention"): Role.VIEWER,
    ("get", "/metrics"): Role.VIEWER,
    ("get", "/version"): Role.VIEWER,
    ("get", "/session"): Role.VIEWER,
    ("get", "/overview"): Role.VIEWER,
    ("get", "/changes?after_seq=x"): Role.VIEWER,
    ("get", "/log"): Role.VIEWER,
    ("get", "/events"): Role.AUDITOR,
    ("get", "/events/77"): Role.AUDITOR,
    ("get", f"/events/stream?task_id={TASK}"): Role.AUDITOR,
    ("get", f"/tasks/{TASK}/events"): Role.AUDITOR,
    ("get", "/checkpoints"): Role.AUDITOR,
    ("get", "/checkpoints/export"): Role.AUDITOR,
    ("get", "/verifications"): Role.AUDITOR,
    ("post", "/verifications"): Role.AUDITOR,
    ("post", "/tasks"): Role.OPERATOR,
    ("post", f"/tasks/{TASK}/dispatch"): Role.OPERATOR,
    ("post", f"/tasks/{TASK}/cancel"): Role.OPERATOR,
    ("post", f"/tasks/{TASK}/locks/release"): Role.OPERATOR,
    ("get", f"/tasks/{TASK}/questions/deploy"): Role.VIEWER,
    ("post", f"/tasks/{TASK}/questions/deploy/answer"): Role.OPERATOR,
    ("put", "/workspaces/acme"): Role.OPERATOR,
    ("delete", "/runners/r1"): Role.OPERATOR,
    ("delete", "/workspaces/acme"): Role.ADMIN,
    ("get", "/notices"): Role.VIEWER,
    ("get", "/notices/channels"): Role.VIEWER,
    ("post", "/notices/replay"): Role.OPERATOR,
    ("get", "/dead"): Role.OPERATOR,
    ("get", "/dead/settled"): Role.OPERATOR,
    ("get", "/dead/77"): Role.OPERATOR,
    ("post", "/dead/77/replay"): Role.OPERATOR,
    ("delete", "/dead/77"): Role.ADMIN,
}
OPEN = ("/livez", "/readyz", "/docs", "/openapi.json", "/asyncapi", "/asyncapi.json", "/schemas")


@pytest.fixture
async def guarded() -> AsyncIterator[ApiHarness]:
    """An API with one token of each role."""
    text = ",".join(f"{role.label}:{token}" for role, token in TOKENS.items())
    async with api_harness(ApiConfig(operator_tokens=parse_operator_tokens(text))) as made:
        yield made


def _template(path: str) -> str:
    """The route of a path."""
    for value, name in (
        (TASK, "{task_id}"),
        ("acme", "{workspace}"),
        ("77", "{seq}"),
        ("r1", "{runner_id}"),
        ("deploy", "{question_id}"),
    ):
        path = path.replace(value, name)
    return path.partition("?")[0]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("call", "least"), LEAST.items(), ids=lambda one: str(one))
async def test_each_route_wants_its_role(guarded: ApiHarness, call: tuple[str, str], least: Role) -> None:
    method, path = call
    for role in Role:
        answer = await guarded.http.request(method, path, headers=bearer(TOKENS[role]), content=b"{")
        if role < least:
            assert problem(answer, 403, "forbidden")["required_role"] == least.label
        else:
            assert answer.status_code not in (401, 403), answer.text
    for headers in ({}, bearer("x"), bearer(""), {"Authorization": f"Basic {TOKENS[Role.ADMIN]}"}):
        answer = await guarded.http.request(method, path, headers=headers, content=b"{")
        problem(answer, 401, "unauthorised")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert guarded.events() == []


async def test_no_cache_keeps_what_a_caller_was_answered(guarded: ApiHarness) -> None:
    for path in (path for method, path in LEAST if method == "get"):
        for headers in (bearer(TOKENS[Role.ADMIN]), {}):
            answer = await guarded.http.get(path, headers=headers)
            assert answer.headers["cache-control"] == "no-store", (path, answer.status_code)


def test_every_operation_stands_in_one_section_of_the_page() -> None:
    """Under two tags the page would show it twice."""
    operations = [one for item in described().openapi()["paths"].values() for one in item.values()]
    assert {len(one["tags"]) for one in operations} == {1}


def test_no_operators_route_is_left_out_above() -> None:
    document = described().openapi()
    declared = {
        (method, path): operation.get(ROLE_KEY)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    wanted = {(method, _template(path)): role.label for (method, path), role in LEAST.items()}
    assert {call: role for call, role in declared.items() if role} == wanted
    unguarded = {path for (_, path), role in declared.items() if not role}
    contracts = {"/asyncapi.json", "/schemas", "/schemas/{name}"}
    of_a_task = {f"/runner/tasks/{{task_id}}/{what}" for what in ("status", "questions", "pauses")}
    runners = {"/runner/heartbeat", *of_a_task}
    assert unguarded == {"/livez", "/readyz", "/session", *runners, *contracts}


def test_every_operators_route_documents_what_a_guard_answers() -> None:
    without = {
        (method, path)
        for path, item in described().openapi()["paths"].items()
        for method, operation in item.items()
        if ROLE_KEY in operation and not {"401", "403"} <= operation["responses"].keys()
    }
    assert without == set(), "declare responses=problems(…)"


@pytest.mark.parametrize("path", OPEN)
async def test_probes_and_documents_are_open(guarded: ApiHarness, path: str) -> None:
    assert (await guarded.http.get(path)).status_code == 200


async def test_events_name_role_and_fingerprint_of_who_acted(guarded: ApiHarness) -> None:
    answer = await guarded.http.post(
        "/tasks", json={"command": ["true"]}, headers=bearer(TOKENS[Role.OPERATOR])
    )
    assert answer.status_code == 201
    role, _, fingerprint = guarded.log.events[0].actor.partition(":")
    assert (role, len(fingerprint)) == ("operator", 8)
    assert TOKENS[Role.OPERATOR] not in repr(guarded.parts.config)


async def test_an_open_api_names_itself_as_actor(harness: ApiHarness) -> None:
    await harness.create()
    assert harness.log.events[0].actor == "api"
