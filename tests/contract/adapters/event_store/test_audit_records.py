"""The contract of `AuditRecords`, in memory and on JetStream; and what the stream refuses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from nats.aio.client import Client

from adapters.event_store import audit_records
from adapters.event_store.audit_records import JetStreamAuditRecords
from domain.evidence.audit_record import DATA_BYTES, AuditData, AuditKind
from domain.ports.evidence import AuditRecords
from tests.support.memory_store import MemoryAuditRecords
from tests.support.nats import api

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "jetstream"])
def records(request: pytest.FixtureRequest) -> AuditRecords:
    if request.param == "memory":
        return MemoryAuditRecords()
    return JetStreamAuditRecords(request.getfixturevalue("js_connection"))


def what(number: int) -> AuditData:
    return AuditData(at=AT, by="operator:ann", data={"number": number})


async def add(records: AuditRecords, kind: AuditKind, *numbers: int) -> list[int]:
    return [await records.add(kind, what(number)) for number in numbers]


async def newest(records: AuditRecords, kind: AuditKind, limit: int, before: int | None = None) -> list[int]:
    return [one.what.data["number"] for one in await records.newest(kind, limit, before)]


async def test_there_are_none_at_first(records: AuditRecords) -> None:
    assert await records.newest("verification", 10) == []


async def test_a_record_comes_back_as_it_was_added(records: AuditRecords) -> None:
    number = await records.add("verification", what(1))
    (found,) = await records.newest("verification", 10)
    assert (found.number, found.what) == (number, what(1))


async def test_the_same_twice_is_two_records(records: AuditRecords) -> None:
    assert await add(records, "dead-letter", 1, 1) == [1, 2]
    assert await newest(records, "dead-letter", 10) == [1, 1]


async def test_pages_go_back_to_the_first_with_other_kinds_between(records: AuditRecords) -> None:
    await add(records, "verification", 1, 2)
    await add(records, "dead-letter", *range(7 * audit_records.FIRST_STRETCH))
    await add(records, "verification", 3)
    assert await newest(records, "verification", 2) == [3, 2]
    found = await records.newest("verification", 2)
    assert await newest(records, "verification", 10, found[-1].number) == [1]
    assert await newest(records, "verification", 10, 1) == []
    assert await newest(records, "dead-letter", 3, 6) == [2, 1, 0]


async def test_the_stream_deletes_nothing_on_request_and_bounds_each_kind(js_connection: Client) -> None:
    records = JetStreamAuditRecords(js_connection)
    await add(records, "verification", 1)
    for verb, body in (("MSG.DELETE", {"seq": 1}), ("PURGE", {})):
        assert "error" in await api(js_connection, f"STREAM.{verb}.TOWPATH_AUDIT", body)
    await add(records, "dead-letter", *range(1003))
    assert len(await records.newest("dead-letter", 2000)) == 1000
    assert await newest(records, "verification", 10) == [1], "a flood of one kind displaces no other"


async def test_the_largest_records_of_one_kind_displace_no_other(js_connection: Client) -> None:
    records = JetStreamAuditRecords(js_connection)
    await add(records, "dead-letter", 1)
    largest = AuditData(at=AT, by="auditor:eve", data={"number": 2, "text": "x" * (DATA_BYTES - 30)})
    for _ in range(21):
        await asyncio.gather(*(records.add("verification", largest) for _ in range(50)))
    assert len(await records.newest("verification", 2000)) == 1000
    assert await newest(records, "dead-letter", 10) == [1]


async def test_a_page_reads_nothing_before_the_oldest_record(js_connection: Client) -> None:
    records = JetStreamAuditRecords(js_connection)
    await asyncio.gather(*(records.add("verification", what(number)) for number in range(1500)))
    before = js_connection.stats["in_msgs"]
    (found,) = await records.newest("verification", 10, 502)
    assert found.number == 501
    assert js_connection.stats["in_msgs"] - before < 20


async def test_what_another_program_has_put_there_is_left_out(js_connection: Client) -> None:
    records = JetStreamAuditRecords(js_connection)
    await add(records, "verification", 1)
    await js_connection.jetstream().publish("towpath.audit.verification", b"\x00")
    await add(records, "verification", 2)
    assert await newest(records, "verification", 10) == [2, 1]
