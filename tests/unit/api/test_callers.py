"""Who calls: names of tokens, acting on behalf of others, and what `GET /session` tells about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.callers import AS_ROLE, ON_BEHALF_OF
from api.config import ApiConfig
from api.operator_tokens import parse_operator_tokens
from tests.unit.api.api_harness import ApiHarness, api_harness, problem

TOKENS = "viewer=eve:v-token,operator=bob:o-token,operator=bot+behalf:b-token,admin+behalf:a-token"
PERSON = "telegram:4711:alice"
TASK = {"command": ["true"]}


@pytest.fixture
async def api() -> AsyncIterator[ApiHarness]:
    """An API whose operators have names, and a bot that may act on behalf of people."""
    async with api_harness(ApiConfig(operator_tokens=parse_operator_tokens(TOKENS))) as made:
        yield made


def sent(token: str, person: str | None = None, role: str | None = None) -> dict[str, str]:
    given = {ON_BEHALF_OF: person, AS_ROLE: role}
    return {
        "Authorization": f"Bearer {token}",
        **{name: value for name, value in given.items() if value is not None},
    }


async def test_events_name_whose_token_it_was(api: ApiHarness) -> None:
    assert (await api.http.post("/tasks", json=TASK, headers=sent("o-token"))).status_code == 201
    assert {one.actor for one in api.log.events} == {"operator:bob"}


@pytest.mark.parametrize(
    ("headers", "actor"),
    [
        (sent("b-token", PERSON), f"operator:bot/{PERSON}"),
        (sent("b-token", "telegram:4711"), "operator:bot/telegram:4711"),
        (sent("b-token"), "operator:bot"),
        (sent("a-token", PERSON, "operator"), "operator:{}/" + PERSON),
        (sent("a-token", None, "Operator"), "operator:{}"),
    ],
)
async def test_a_token_marked_so_acts_on_behalf_of_a_person(
    api: ApiHarness, headers: dict[str, str], actor: str
) -> None:
    fingerprint = api.parts.config.operator_tokens[-1].digest.hex()[:8]
    assert (await api.http.post("/tasks", json=TASK, headers=headers)).status_code == 201
    assert {one.actor for one in api.log.events} == {actor.format(fingerprint)}


async def test_the_role_of_the_person_counts_and_is_never_more_than_the_tokens_own(api: ApiHarness) -> None:
    as_viewer = await api.http.post("/tasks", json=TASK, headers=sent("a-token", PERSON, "viewer"))
    assert problem(as_viewer, 403, "forbidden")["required_role"] == "operator"
    more = await api.http.get("/tasks", headers=sent("b-token", PERSON, "admin"))
    assert "the token's own, which is operator" in problem(more, 403, "forbidden")["detail"]
    assert api.events() == []


@pytest.mark.parametrize("headers", [sent("o-token", PERSON), sent("o-token", None, "viewer")])
async def test_another_token_may_not_act_on_behalf_of_anyone(
    api: ApiHarness, headers: dict[str, str]
) -> None:
    answer = problem(await api.http.get("/tasks", headers=headers), 403, "not-on-behalf")
    assert "leave out Towpath-On-Behalf-Of" in answer["detail"]
    problem(
        await api.http.get("/tasks", headers={**headers, "Authorization": "Bearer x"}), 401, "unauthorised"
    )


@pytest.mark.parametrize(
    "person",
    ["", "telegram", ":4711", "telegram:", "telegram:4711:", "a:b:c:d", "a/b:c", "a:b/c:d", "a:b c",
     "a:b:\u00e9", "a:" + "b" * 65, "a:b\tc", "telegram:4711, telegram:1"],
)  # fmt: skip
async def test_a_person_is_named_in_one_form_only(api: ApiHarness, person: str) -> None:
    headers = {name: value.encode("latin-1") for name, value in sent("b-token", person).items()}
    answer = await api.http.post("/tasks", json=TASK, headers=headers)
    assert "<kind>:<id>" in problem(answer, 422, "bad-header")["detail"]
    assert api.events() == []


@pytest.mark.parametrize("name", [ON_BEHALF_OF, AS_ROLE])
async def test_a_header_that_comes_twice_is_refused(api: ApiHarness, name: str) -> None:
    value = PERSON if name == ON_BEHALF_OF else "viewer"
    headers = [("Authorization", "Bearer b-token"), (name, value), (name, value)]
    assert "once" in problem(await api.http.get("/tasks", headers=headers), 422, "bad-header")["detail"]


async def test_a_role_that_is_none_is_refused(api: ApiHarness) -> None:
    answer = problem(await api.http.get("/tasks", headers=sent("b-token", PERSON, "king")), 422, "bad-header")
    assert "viewer, auditor, operator and admin" in answer["detail"]


async def test_the_token_of_a_job_acts_for_the_job_alone(api: ApiHarness) -> None:
    created = await api.http.post("/tasks", json=TASK, headers=sent("o-token"))
    task_id = created.json()["id"]
    headers = {"X-Runner-Token": api.parts.job_tokens.mint(task_id, 1), ON_BEHALF_OF: PERSON}
    problem(await api.http.get(f"/tasks/{task_id}", headers=headers), 403, "not-on-behalf")


async def _session(api: ApiHarness, headers: dict[str, str]) -> dict[str, Any]:
    answer = await api.http.get("/session", headers=headers)
    assert answer.status_code == 200
    return dict(answer.json())


async def test_the_session_says_who_one_is_and_what_one_may(api: ApiHarness) -> None:
    viewer = await _session(api, sent("v-token"))
    permitted = viewer.pop("permitted")
    assert viewer == {
        "actor": "viewer:eve",
        "role": "viewer",
        "name": "eve",
        "on_behalf_of": None,
        "may_act_on_behalf": False,
        "open": False,
        "expires": None,
    }
    assert {"GET /tasks", "GET /session"} <= set(permitted)
    assert not {"POST /tasks", "GET /events", "DELETE /dead/{seq}"} & set(permitted)
    bot = await _session(api, sent("b-token", PERSON))
    assert bot["on_behalf_of"] == {"kind": "telegram", "id": "4711", "name": "alice"}
    assert (bot["actor"], bot["name"], bot["may_act_on_behalf"]) == (f"operator:bot/{PERSON}", "bot", True)
    assert set(permitted) < set(bot["permitted"])
    admin = await _session(api, sent("a-token"))
    assert "DELETE /dead/{seq}" in admin["permitted"]
    assert (await _session(api, sent("a-token", role="viewer")))["permitted"] == permitted


async def test_what_the_session_permits_is_what_the_routes_allow(api: ApiHarness) -> None:
    permitted = (await _session(api, sent("v-token")))["permitted"]
    for one in (await _session(api, sent("a-token")))["permitted"]:
        method, path = one.split()
        asked = "HEAD" if method == "GET" else method  # a stream would not end
        answer = await api.http.request(asked, path, headers=sent("v-token"), content=b"{")
        assert (answer.status_code == 403) is (one not in permitted), one


async def test_an_open_api_lets_a_bot_say_for_whom_it_acts(harness: ApiHarness) -> None:
    session = await _session(harness, {})
    assert (session["actor"], session["role"], session["open"]) == ("api", "admin", True)
    person = {ON_BEHALF_OF: PERSON}
    problem(
        await harness.http.post("/tasks", json=TASK, headers={**person, AS_ROLE: "viewer"}), 403, "forbidden"
    )
    assert (await harness.http.post("/tasks", json=TASK, headers=person)).status_code == 201
    assert {one.actor for one in harness.log.events} == {f"api/{PERSON}"}
