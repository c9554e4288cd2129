"""The console's cookie: who gets one, where it counts, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from api.config import ApiConfig, Role
from api.operator_tokens import parse_operator_tokens
from api.sessions import COOKIE, SECURE_COOKIE, SESSION_LIFE, Sessions
from tests.unit.api.api_harness import KEY, ApiHarness, Moment, api_harness, problem
from tests.unit.api.sse_reader import sse
from tests.unit.api.test_auth import LEAST, TOKENS, bearer

OWN = {"X-Towpath-Console": "1", "Origin": "http://localhost:8000"}
TEXT = ",".join(f"{role.label}=of-{role.label}:{token}" for role, token in TOKENS.items())
CONFIG = ApiConfig(operator_tokens=parse_operator_tokens(TEXT), hosts=("towpath.example",))


@pytest.fixture
async def guarded() -> AsyncIterator[ApiHarness]:
    """An API with one named token of each role."""
    async with api_harness(CONFIG) as made:
        yield made


async def logged_in(harness: ApiHarness, role: Role, **headers: str) -> httpx.Response:
    body = {"token": TOKENS[role]}
    answer = await harness.http.post("/session", json=body, headers={**OWN, **headers})
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_token_is_exchanged_for_a_cookie_that_no_script_reads(guarded: ApiHarness) -> None:
    answer = await logged_in(guarded, Role.OPERATOR)
    said = answer.json()
    assert (said["actor"], said["role"]) == ("operator:of-operator", "operator")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == COOKIE
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Max-Age=43200"} <= set(rest.split("; "))
    assert "Secure" not in rest
    assert TOKENS[Role.OPERATOR] not in rest
    assert (await guarded.http.get("/session")).json() == said
    assert (await guarded.http.get("/session", headers=bearer(TOKENS[Role.VIEWER]))).json()["expires"] is None


async def test_over_tls_the_cookie_is_secure_and_of_this_host_alone(guarded: ApiHarness) -> None:
    answer = await logged_in(guarded, Role.VIEWER, Origin="https://towpath.example", Host="towpath.example")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SECURE_COOKIE}=")
    assert {"Secure", "Path=/", "HttpOnly"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


async def test_who_is_no_operator_gets_none(guarded: ApiHarness) -> None:
    answer = await guarded.http.post("/session", json={"token": "a-guess"}, headers=OWN)
    problem(answer, 401, "unauthorised")
    assert "set-cookie" not in answer.headers
    body = (await guarded.http.post("/session", json={"token": ""}, headers=OWN)).json()
    assert body["code"] == "invalid-request"


async def test_an_open_api_has_no_login(harness: ApiHarness) -> None:
    answer = await harness.http.post("/session", json={"token": "anything"}, headers=OWN)
    problem(answer, 409, "no-login-needed")
    assert (await harness.http.get("/session")).json()["open"] is True


@pytest.mark.parametrize(("call", "least"), LEAST.items(), ids=lambda one: str(one))
async def test_the_cookie_permits_what_its_token_permits(
    guarded: ApiHarness, call: tuple[str, str], least: Role
) -> None:
    method, path = call
    for role in Role:
        guarded.http.cookies.clear()
        await logged_in(guarded, role)
        answer = await guarded.http.request(method, path, headers=OWN, content=b"{")
        if role < least:
            problem(answer, 403, "forbidden")
        else:
            assert answer.status_code not in (401, 403), answer.text


@pytest.mark.parametrize("method_path", [call for call in LEAST if call[0] != "get"], ids=str)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Towpath-Console": "1"},
        {"Origin": "http://localhost:8000"},
        {**OWN, "X-Towpath-Console": "0"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
    ],
    ids=["neither", "no-origin", "no-header", "another-header", "cross-site", "same-site"],
)
async def test_a_command_with_a_cookie_must_come_from_the_console(
    guarded: ApiHarness, method_path: tuple[str, str], headers: dict[str, str]
) -> None:
    await logged_in(guarded, Role.ADMIN)
    method, path = method_path
    answer = await guarded.http.request(method, path, headers=headers, content=b"{")
    problem(answer, 403, "not-from-console")
    assert guarded.events() == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_login_and_logout_must_come_from_the_console_too(guarded: ApiHarness, method: str) -> None:
    body = {"token": TOKENS[Role.ADMIN]}
    for headers in ({}, {"X-Towpath-Console": "1"}):
        problem(
            await guarded.http.request(method, "/session", json=body, headers=headers),
            403,
            "not-from-console",
        )
    foreign = {**OWN, "Origin": "http://evil.example"}
    problem(await guarded.http.request(method, "/session", json=body, headers=foreign), 403, "foreign-origin")


async def test_a_bearer_token_goes_first(guarded: ApiHarness) -> None:
    await logged_in(guarded, Role.ADMIN)
    viewer = bearer(TOKENS[Role.VIEWER])
    problem(await guarded.http.post("/tasks", json={"command": ["true"]}, headers=viewer), 403, "forbidden")
    wrong = bearer("no-token")
    problem(await guarded.http.get("/tasks", headers=wrong), 401, "unauthorised")
    operator = bearer(TOKENS[Role.OPERATOR])
    answer = await guarded.http.post("/tasks", json={"command": ["true"]}, headers=operator)
    assert answer.status_code == 201, "a program with a token needs no console's headers"


async def test_events_name_the_same_actor_with_cookie_and_token(guarded: ApiHarness) -> None:
    await logged_in(guarded, Role.OPERATOR)
    task = (await guarded.http.post("/tasks?dispatch=true", json={"command": ["true"]}, headers=OWN)).json()
    await guarded.http.post(f"/tasks/{task['id']}/cancel", json={"reason": "x"}, headers=OWN)
    guarded.http.cookies.clear()
    await guarded.http.post("/tasks", json={"command": ["true"]}, headers=bearer(TOKENS[Role.OPERATOR]))
    assert "cancel-requested" in guarded.events() or "canceled" in guarded.events()
    by = {one.actor for one in guarded.log.events if one.event in ("created", "cancel-requested", "canceled")}
    assert by == {"operator:of-operator"}


async def test_it_ends_after_twelve_hours(guarded: ApiHarness) -> None:
    await logged_in(guarded, Role.VIEWER)
    guarded.clock.at += timedelta(hours=12) - timedelta(seconds=1)
    assert (await guarded.http.get("/tasks")).status_code == 200
    guarded.clock.at += timedelta(seconds=1)
    problem(await guarded.http.get("/tasks"), 401, "unauthorised")


async def test_logging_out_clears_it(guarded: ApiHarness) -> None:
    await logged_in(guarded, Role.VIEWER)
    answer = await guarded.http.delete("/session", headers=OWN)
    assert answer.status_code == 204
    cleared = answer.headers.get_list("set-cookie")
    assert [one.partition("=")[0] for one in cleared] == [COOKIE, SECURE_COOKIE]
    assert all("Max-Age=0" in one for one in cleared)
    problem(await guarded.http.get("/tasks"), 401, "unauthorised")


async def test_another_process_accepts_it_until_its_token_is_gone_or_another_one() -> None:
    changed = {
        "gone": TEXT.replace("viewer=of-viewer:viewer-token,", ""),
        "another role": TEXT.replace("viewer=of-viewer", "auditor=of-viewer"),
        "another name": TEXT.replace("of-viewer", "of-somebody"),
        "another token": TEXT.replace("viewer-token", "viewer-token-2"),
    }
    async with api_harness(CONFIG) as first:
        value = (await logged_in(first, Role.VIEWER)).cookies[COOKIE]
    for text, status in [(TEXT, 200), *((text, 401) for text in changed.values())]:
        async with api_harness(ApiConfig(operator_tokens=parse_operator_tokens(text))) as other:
            other.http.cookies[COOKIE] = value
            assert (await other.http.get("/tasks")).status_code == status


async def test_a_forged_or_damaged_cookie_is_none(guarded: ApiHarness) -> None:
    value = (await logged_in(guarded, Role.VIEWER)).cookies[COOKIE]
    body, _, mac = value.partition(".")
    forged = Sessions(b"another key").mint(CONFIG.operator_tokens[-1], guarded.clock())[0]
    for bad in ("", ".", body, f"{body}.", f".{mac}", f"{body[:-4]}AAAA.{mac}", value * 9, forged):
        guarded.http.cookies.clear()
        guarded.http.cookies[COOKIE] = bad
        problem(await guarded.http.get("/tasks"), 401, "unauthorised")


def test_cookies_of_the_previous_key_are_accepted_and_new_ones_have_the_first() -> None:
    token = CONFIG.operator_tokens[0]
    now = Moment().at
    old, new = Sessions(KEY), Sessions(b"a new key", KEY)
    assert new.check(old.mint(token, now)[0], CONFIG.operator_tokens, now) is not None
    assert old.check(new.mint(token, now)[0], CONFIG.operator_tokens, now) is None


async def test_a_token_without_bytes_is_refused(guarded: ApiHarness) -> None:
    headers = {**OWN, "Content-Type": "application/json"}
    answer = await guarded.http.post("/session", content=b'{"token":"\\ud800"}', headers=headers)
    problem(answer, 422, "invalid-request")


async def test_a_stale_cookie_of_the_other_form_does_not_hide_a_valid_one(guarded: ApiHarness) -> None:
    answer = await logged_in(guarded, Role.VIEWER)
    guarded.http.cookies.clear()
    valid = answer.headers["set-cookie"].partition(";")[0]
    for cookie in (f"{SECURE_COOKIE}=a.b; {valid}", f"{valid}; {SECURE_COOKIE}=a.b"):
        assert (await guarded.http.get("/session", headers={"Cookie": cookie})).status_code == 200
    stale = f"{SECURE_COOKIE}=a.b; {COOKIE}=a.b"
    problem(await guarded.http.get("/session", headers={"Cookie": stale}), 401, "unauthorised")


@pytest.mark.parametrize("path", ["/changes", "/events/stream"])
async def test_a_stream_ends_with_the_session_that_opened_it(guarded: ApiHarness, path: str) -> None:
    cookie = (await logged_in(guarded, Role.AUDITOR)).headers["set-cookie"].partition(";")[0]
    async with (
        sse(guarded.app, path, {"Cookie": cookie}) as reader,
        sse(guarded.app, path, bearer(TOKENS[Role.AUDITOR])) as other,
    ):
        for one in (reader, other):
            assert await one.frame() is not None
        guarded.clock.at += SESSION_LIFE
        await guarded.http.post(
            "/tasks?dispatch=true", json={"command": ["true"]}, headers=bearer(TOKENS[Role.OPERATOR])
        )
        while await reader.frame() is not None:
            pass
        assert reader.ended
        assert await other.frame() is not None
