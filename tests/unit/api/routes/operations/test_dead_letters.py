"""Dead letters over HTTP: listed, shown without secrets, put back the way they came, dropped."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.nats.jetstream_api import LogUnreachable
from api.config import ApiConfig
from api.operator_tokens import parse_operator_tokens
from domain.log.record import Recorded
from tests.support.memory_store import MemoryAuditRecords
from tests.unit.api.api_harness import ApiHarness, api_harness, new_id, problem

SECRET = "5ecr3t-value"
TOKENS = "viewer:viewer-token,auditor:auditor-token,operator:operator-token,admin:admin-token"


async def kept(
    harness: ApiHarness, kind: str, subject: str, body: object, reason: str = "gave-up", **more: Any
) -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    await harness.dead.keep(kind, subject, raw, reason, "tried 20 times", **more)
    return max(harness.dead.letters)


def submission(task: dict, **changes) -> dict:
    return {
        "task_id": task["id"],
        "attempt": 1,
        "title": "t",
        "command": ["true"],
        "env": {"KEY": SECRET},
        "execution_mode": "no-workspace",
        "status_callback_token": SECRET,
        **changes,
    }


async def test_the_list_pages_by_kind_and_shows_no_body() -> None:
    async with api_harness() as harness:
        for number in range(5):
            await kept(harness, "report" if number % 2 else "submit", str(number), {"env": {"A": SECRET}})
        first = await harness.http.get("/dead", params={"limit": 2})
        page = first.json()
        assert ([one["seq"] for one in page["items"]], page["total"]) == ([1, 2], 5)
        assert page["items"][0] == {
            "seq": 1,
            "at": "2026-03-01T12:00:00Z",
            "kind": "submit",
            "subject": "0",
            "reason": "gave-up",
            "detail": "tried 20 times",
            "size": 30,
            "source": None,
        }
        assert 'rel="next"' in first.headers["Link"]
        rest = (await harness.http.get("/dead", params={"cursor": page["next_cursor"]})).json()
        assert ([one["seq"] for one in rest["items"]], rest["next_cursor"]) == ([3, 4, 5], None)
        reports = (await harness.http.get("/dead", params={"kind": "report"})).json()
        assert ([one["subject"] for one in reports["items"]], reports["total"]) == (["1", "3"], 2)
        problem(await harness.http.get("/dead", params={"cursor": "eA"}), 422, "bad-cursor")


async def test_one_is_shown_without_its_secrets() -> None:
    async with api_harness() as harness:
        task = await harness.create()
        seq = await kept(harness, "submit", "default", submission(task))
        answer = await harness.http.get(f"/dead/{seq}")
        assert SECRET not in answer.text
        assert answer.json()["body"]["env"] == {"KEY": "***"}
        assert answer.json()["body"]["task_id"] == task["id"]
        garbage = await kept(harness, "submit", "default", f"not json {SECRET}".encode())
        answer = await harness.http.get(f"/dead/{garbage}")
        assert (answer.json()["body"], SECRET in answer.text) == (None, False)
        problem(await harness.http.get("/dead/99"), 404, "no-such-dead-letter")


async def test_a_report_is_reported_and_gone() -> None:
    async with api_harness() as harness:
        task = await harness.dispatched()
        seq = await kept(
            harness, "report", task["id"], {"status": "running", "attempt": 1, "runner_id": "r1"}
        )
        again = await kept(
            harness, "report", task["id"], {"status": "running", "attempt": 1, "runner_id": "r1"}
        )
        answer = (await harness.http.post(f"/dead/{seq}/replay")).json()
        assert (answer["outcome"], answer["subject"]) == ("recorded", task["id"])
        assert (await harness.http.get(f"/tasks/{task['id']}")).json()["status"] == "running"
        assert (await harness.http.post(f"/dead/{again}/replay")).json()["outcome"] == "stale"
        assert harness.dead.letters == {}
        problem(await harness.http.post(f"/dead/{seq}/replay"), 404, "no-such-dead-letter")


@pytest.mark.parametrize(
    ("body", "reason", "code"),
    [
        ({"status": "failed"}, "conflicting-end", "not-replayable"),
        ({"status": "failed"}, "unauthorised", "not-replayable"),
        ({"status": "failed"}, "wrong-token", "not-replayable"),
        ({"status": "no such"}, "invalid-report", "not-replayable"),
        (b"\x00", "invalid-report", "not-replayable"),
        ({"status": "failed", "attempt": 7}, "gave-up", "unknown-attempt"),
    ],
)
async def test_a_report_that_cannot_help_stays_with_a_reason(body, reason, code) -> None:
    async with api_harness() as harness:
        task = await harness.dispatched()
        seq = await kept(harness, "report", task["id"], body, reason)
        problem(await harness.http.post(f"/dead/{seq}/replay"), 409, code)
        assert list(harness.dead.letters) == [seq]
        assert harness.events() == ["created", "dispatched"]


async def test_a_heartbeat_is_never_replayed() -> None:
    async with api_harness() as harness:
        seq = await kept(harness, "heartbeat", "host-1", {"runner_id": "host-2"}, "wrong-runner", source="x")
        refused = await harness.http.post(f"/dead/{seq}/replay")
        assert "next heartbeat" in problem(refused, 409, "not-replayable")["detail"]


async def test_a_report_about_no_task_stays() -> None:
    async with api_harness() as harness:
        seq = await kept(harness, "report", new_id(), {"status": "running"})
        problem(await harness.http.post(f"/dead/{seq}/replay"), 404, "no-such-task")
        bad = await kept(harness, "report", "not-an-id", {"status": "running"}, "bad-task-id")
        problem(await harness.http.post(f"/dead/{bad}/replay"), 409, "not-replayable")
        assert len(harness.dead.letters) == 2


async def test_an_event_is_handled_again_by_its_queue() -> None:
    handled: list[int] = []

    async def handle(event: Recorded) -> None:
        if event.event == "dispatched":
            handled.append(event.seq)
        else:
            raise RuntimeError(SECRET)

    async with api_harness(handlers={"dispatch": handle}) as harness:
        task = await harness.dispatched()
        good = await kept(harness, "dispatch", task["id"], {}, "not-handled", source_seq=2)
        bad = await kept(harness, "dispatch", task["id"], {}, "not-handled", source_seq=1)
        none = await kept(harness, "dispatch", task["id"], {}, "not-handled", source_seq=99)
        old = await kept(harness, "dispatch", task["id"], {}, "not-handled")
        assert (await harness.http.post(f"/dead/{good}/replay")).json()["outcome"] == "handled"
        assert handled == [2]
        failed = await harness.http.post(f"/dead/{bad}/replay")
        assert SECRET not in problem(failed, 409, "replay-failed")["detail"]
        for seq in (none, old):
            problem(await harness.http.post(f"/dead/{seq}/replay"), 409, "not-replayable")
        assert list(harness.dead.letters) == [bad, none, old]


async def test_a_submission_starts_from_the_log_never_from_what_was_kept() -> None:
    handled: list[int] = []

    async def handle(event: Recorded) -> None:
        handled.append(event.seq)

    async with api_harness(handlers={"dispatch": handle}) as harness:
        task = await harness.dispatched()
        seq = await kept(harness, "submit", "default", submission(task))
        assert (await harness.http.post(f"/dead/{seq}/replay")).json()["outcome"] == "sent"
        assert handled == [2]
        late = await kept(harness, "submit", "default", submission(task))
        await harness.report(task["id"], "running")
        problem(await harness.http.post(f"/dead/{late}/replay"), 409, "not-replayable")
        garbage = await kept(harness, "submit", "default", {"task_id": 1})
        problem(await harness.http.post(f"/dead/{garbage}/replay"), 409, "not-replayable")


async def test_a_deadline_goes_back_to_its_queue_and_what_nobody_knows_stays() -> None:
    async with api_harness() as harness:
        due = await kept(harness, "due-attempt", "t", b"note", source="towpath.timer.due.attempt.t.1")
        assert (await harness.http.post(f"/dead/{due}/replay")).json()["outcome"] == "queued"
        assert [one.body for one in harness.dead.put] == [b"note"]
        other = await kept(harness, "strange", "t", {})
        problem(await harness.http.post(f"/dead/{other}/replay"), 409, "not-replayable")


async def test_dropping_needs_a_reason_and_an_admin() -> None:
    config = ApiConfig(operator_tokens=parse_operator_tokens(TOKENS))
    async with api_harness(config) as harness:
        seq = await kept(harness, "report", "t", {})

        def of(role: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {role}-token"}

        for role in ("viewer", "auditor"):
            problem(await harness.http.get("/dead", headers=of(role)), 403, "forbidden")
            problem(await harness.http.post(f"/dead/{seq}/replay", headers=of(role)), 403, "forbidden")
        assert (await harness.http.get(f"/dead/{seq}", headers=of("operator"))).is_success
        reason = {"reason": "seen"}
        refused = await harness.http.delete(f"/dead/{seq}", headers=of("operator"), params=reason)
        problem(refused, 403, "forbidden")
        problem(await harness.http.delete(f"/dead/{seq}", headers=of("admin")), 422, "invalid-request")
        assert (await harness.http.delete(f"/dead/{seq}", headers=of("admin"), params=reason)).is_success
        assert harness.dead.letters == {}
        gone = problem(
            await harness.http.get(f"/dead/{seq}", headers=of("admin")), 404, "no-such-dead-letter"
        )
        assert "GET /dead/settled" in gone["detail"]


async def test_who_replayed_and_dropped_what_is_listed_newest_first() -> None:
    config = ApiConfig(operator_tokens=parse_operator_tokens("operator=ann:o-token,admin=bob:a-token"))
    ann, bob = {"Authorization": "Bearer o-token"}, {"Authorization": "Bearer a-token"}
    async with api_harness(config) as harness:
        task = (
            await harness.http.post("/tasks?dispatch=true", json={"command": ["true"]}, headers=ann)
        ).json()
        first = await kept(harness, "report", task["id"], {"status": "running", "attempt": 1})
        second = await kept(harness, "heartbeat", "host-1", {}, "wrong-runner")
        await harness.http.post(f"/dead/{first}/replay", headers=ann)
        problem(await harness.http.post(f"/dead/{second}/replay", headers=ann), 409, "not-replayable")
        await harness.http.delete(f"/dead/{second}", headers=bob, params={"reason": "seen"})
        newest, oldest = (await harness.http.get("/dead/settled", headers=ann)).json()["items"]
        assert newest == {
            "number": 2,
            "at": "2026-03-01T12:00:00Z",
            "by": "admin:bob",
            "action": "dropped",
            "outcome": None,
            "note": "seen",
            "seq": second,
            "kept_at": "2026-03-01T12:00:00Z",
            "kind": "heartbeat",
            "subject": "host-1",
            "reason": "wrong-runner",
            "detail": "tried 20 times",
            "size": 2,
        }
        assert (oldest["by"], oldest["action"], oldest["outcome"]) == ("operator:ann", "replayed", "recorded")
        page = (await harness.http.get("/dead/settled", params={"limit": 1}, headers=ann)).json()
        after = {"cursor": page["next_cursor"]}
        rest = (await harness.http.get("/dead/settled", params=after, headers=ann)).json()
        assert ([one["number"] for one in rest["items"]], rest["next_cursor"]) == ([1], None)


async def test_no_letter_goes_without_a_record(harness: ApiHarness) -> None:
    seq = await kept(harness, "report", "t", {})
    records = harness.parts.audit_records
    assert isinstance(records, MemoryAuditRecords)
    records.trouble = LogUnreachable()
    refused = await harness.http.delete(f"/dead/{seq}", params={"reason": "seen"})
    problem(refused, 503, "log-unreachable")
    assert list(harness.dead.letters) == [seq]


async def test_a_number_with_any_count_of_digits_is_answered(harness: ApiHarness) -> None:
    for digits in ("0", "9" * 20, "9" * 5000):
        problem(await harness.http.get(f"/dead/{digits}"), 422, "invalid-request")
        problem(await harness.http.post(f"/dead/{digits}/replay"), 422, "invalid-request")


async def test_their_number_is_a_metric() -> None:
    async with api_harness() as harness:
        await kept(harness, "report", "t", {})
        assert "towpath_dead_letters 1.0" in (await harness.http.get("/metrics")).text


async def test_a_cursor_beyond_what_was_ever_kept_is_refused(harness: ApiHarness) -> None:
    """As after a restore of an older backup: what is new would be missed."""
    for number in range(4):
        await kept(harness, "report", str(number), {})
    cursor = (await harness.http.get("/dead", params={"limit": 3})).json()["next_cursor"]
    again = harness.dead.letters.pop(3)
    rest = (await harness.http.get("/dead", params={"cursor": cursor})).json()["items"]
    assert [one["seq"] for one in rest] == [4], "the one it names was dropped"
    harness.dead.letters[3] = replace(again, at=again.at + timedelta(seconds=1))
    problem(await harness.http.get("/dead", params={"cursor": cursor}), 404, "other-log")
    del harness.dead.letters[3], harness.dead.letters[4]
    body = problem(await harness.http.get("/dead", params={"cursor": cursor}), 404, "beyond-the-log")
    assert body["last_seq"] == 2


async def test_letters_dropped_for_the_budget_are_told(harness: ApiHarness) -> None:
    assert (await harness.http.get("/dead")).json()["dropped"] == []
    harness.dead.dropped[("report", "invalid-report")] = 30
    told = (await harness.http.get("/dead", params={"kind": "submit"})).json()["dropped"]
    assert told == [{"kind": "report", "reason": "invalid-report", "count": 30}]
    sample = 'towpath_dead_letters_dropped_total{kind="report",reason="invalid-report"} 30.0'
    assert sample in (await harness.http.get("/metrics")).text.splitlines()
