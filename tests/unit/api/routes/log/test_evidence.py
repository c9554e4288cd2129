"""Evidence over HTTP: checkpoints in pages and as a file, and verifications that callers record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.crypto.checkpoint_keys import CheckpointKey
from api.config import ApiConfig
from api.operator_tokens import parse_operator_tokens
from domain.evidence.audit_record import AuditData
from domain.evidence.checkpoint import CheckpointInvalid, make_checkpoint
from domain.evidence.merkle import leaf_hash
from infra.audit.export_reader import read_checkpoints, read_keys
from tests.support.memory_store import MemoryCheckpoints
from tests.unit.api.api_harness import ApiHarness, api_harness, problem

KEY = CheckpointKey("11" * 32)
WHOLE = {"ok": True, "events": 1, "covered_upto": 1, "checkpoints": 1, "command": "towpath verify --record"}


async def checkpoints(harness: ApiHarness, count: int) -> MemoryCheckpoints:
    """`count` checkpoints of two events each."""
    stored = harness.parts.checkpoints
    assert isinstance(stored, MemoryCheckpoints)
    for number in range(count):
        leaves = [leaf_hash(seq, b"s", [], b"{}") for seq in (2 * number + 1, 2 * number + 2)]
        made = make_checkpoint(await stored.last(), leaves, "2026-03-01T12:00:00Z", KEY)
        assert await stored.append(made)
    return stored


async def test_checkpoints_are_listed_newest_first_in_pages(harness: ApiHarness) -> None:
    await harness.create()
    stored = await checkpoints(harness, 5)
    first = await harness.http.get("/checkpoints", params={"limit": 2})
    page = first.json()
    assert [one["number"] for one in page["items"]] == [5, 4]
    assert (page["count"], page["covered_upto"], page["last_seq"]) == (5, 10, 1)
    assert page["public_keys"] == {"0123456789abcdef": "ab" * 32}
    assert page["nats_urls"] == ["nats://127.0.0.1:4334"]
    shown = page["items"][0]
    assert (shown["first_seq"], shown["last_seq"], shown["signature"]) == (9, 10, stored.stored[4].signature)
    assert "prints" not in shown
    assert 'rel="next"' in first.headers["Link"]
    numbers = []
    while page["next_cursor"] is not None:
        page = (
            await harness.http.get("/checkpoints", params={"limit": 2, "cursor": page["next_cursor"]})
        ).json()
        numbers += [one["number"] for one in page["items"]]
    assert numbers == [3, 2, 1]
    problem(await harness.http.get("/checkpoints", params={"cursor": "eA"}), 422, "bad-cursor")


async def test_without_checkpoints_nothing_is_covered(harness: ApiHarness) -> None:
    page = (await harness.http.get("/checkpoints")).json()
    assert (page["items"], page["count"], page["covered_upto"]) == ([], 0, 0)


async def test_the_export_is_the_file_that_verify_reads(harness: ApiHarness, tmp_path: Path) -> None:
    stored = await checkpoints(harness, 120)
    answer = await harness.http.get("/checkpoints/export")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"] == 'attachment; filename="towpath-checkpoints.jsonl"'
    file = tmp_path / "kept.jsonl"
    file.write_bytes(answer.content)
    assert [one async for one in read_checkpoints(file)] == stored.stored
    keys = read_keys(file)
    assert keys is not None
    assert set(keys.as_texts().values()) == {"ab" * 32}
    later = (await harness.http.get("/checkpoints/export", params={"after": 118})).text.splitlines()
    assert [json.loads(line)["number"] for line in later[1:]] == [119, 120]


async def test_damaged_checkpoints_are_told(harness: ApiHarness) -> None:
    stored = await checkpoints(harness, 2)
    stored.trouble = CheckpointInvalid("checkpoint 2 is missing")
    for path in ("/checkpoints", "/checkpoints/export"):
        told = problem(await harness.http.get(path), 409, "checkpoints-damaged")
        assert "checkpoint 2 is missing" in told["detail"]


async def test_a_verification_is_kept_with_who_when_range_result_and_command() -> None:
    tokens = parse_operator_tokens("auditor=eve:a-token")
    async with api_harness(ApiConfig(operator_tokens=tokens)) as harness:
        harness.http.headers["Authorization"] = "Bearer a-token"
        none = (await harness.http.get("/verifications")).json()
        assert none == {"items": [], "next_cursor": None}
        wanted = {"ok": True, "events": 0, "command": "towpath verify --record", "notes": ["a note"]}
        answer = await harness.http.post("/verifications", json=wanted)
        assert answer.status_code == 201, answer.text
        (found,) = (await harness.http.get("/verifications")).json()["items"]
        assert found == answer.json()
        assert (found["number"], found["by"], found["at"]) == (1, "auditor:eve", "2026-03-01T12:00:00Z")
        assert {name: found[name] for name in wanted} == wanted
        assert harness.events() == [], "the log is what was verified: a verification is no event of it"


async def test_verifications_are_listed_newest_first(harness: ApiHarness) -> None:
    for number in range(5):
        await harness.http.post("/verifications", json={"ok": True, "events": 0, "command": str(number)})
    page = (await harness.http.get("/verifications", params={"limit": 3})).json()
    assert [one["command"] for one in page["items"]] == ["4", "3", "2"]
    rest = (await harness.http.get("/verifications", params={"cursor": page["next_cursor"]})).json()
    assert ([one["command"] for one in rest["items"]], rest["next_cursor"]) == (["1", "0"], None)


async def test_records_of_other_versions_and_programs_break_no_list(harness: ApiHarness) -> None:
    records = harness.parts.audit_records
    for data in ({**WHOLE, "covered_upto": 9, "later": 1}, {**WHOLE, "number": 7}, {"x": 1}):
        await records.add("verification", AuditData(at=harness.clock.at, by="auditor:eve", data=data))
    page = await harness.http.get("/verifications")
    assert [one["number"] for one in page.json()["items"]] == [2, 1]


async def test_a_result_about_another_log_is_refused(harness: ApiHarness) -> None:
    await harness.create()
    (event,) = harness.log.events
    beyond = await harness.http.post("/verifications", json={**WHOLE, "events": 2})
    problem(beyond, 404, "beyond-the-log")
    other = await harness.http.post("/verifications", json={**WHOLE, "last_event_id": "another"})
    problem(other, 404, "other-log")
    same = await harness.http.post("/verifications", json={**WHOLE, "last_event_id": event.id})
    assert same.status_code == 201, same.text


@pytest.mark.parametrize(
    "changes",
    [
        {"first_bad_seq": 1},
        {"findings": [{"seq": 1, "kind": "chain", "sentence": "damaged"}]},
        {"covered_upto": 2},
        {"events": -1},
        {"command": ""},
        {"notes": ["x" * 501]},
        {"notes": ["\u6f22" * 500] * 10},
        {"by": "operator:ann"},
        {"unknown": 1},
    ],
)
async def test_a_result_that_contradicts_itself_or_is_no_result_is_refused(
    harness: ApiHarness, changes: dict[str, Any]
) -> None:
    await harness.create()
    problem(await harness.http.post("/verifications", json={**WHOLE, **changes}), 422, "invalid-request")
    assert (await harness.http.get("/verifications")).json()["items"] == []


async def test_what_is_found_is_kept(harness: ApiHarness) -> None:
    await harness.create()
    found = {"seq": 1, "kind": "chain", "sentence": "its chain\u0000 is broken", "exact": False}
    body = {**WHOLE, "ok": False, "first_bad_seq": 1, "findings": [found]}
    answer = await harness.http.post("/verifications", json=body)
    assert answer.status_code == 201, answer.text
    (kept,) = (await harness.http.get("/verifications")).json()["items"]
    assert (kept["ok"], kept["first_bad_seq"]) == (False, 1)
    assert kept["findings"] == [{**found, "sentence": "its chain\ufffd is broken"}]
