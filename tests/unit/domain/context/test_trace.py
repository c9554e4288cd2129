"""A trace is carried exactly as it came, and what is not one is as if nothing had come."""

from __future__ import annotations

import pytest

from domain.context.trace import (
    current_traceparent,
    trace_id,
    under_traceparent,
    valid_traceparent,
    with_traceparent,
)
from domain.locks.table import LockTable
from tests.unit.domain.locks.lock_log import SPACE, LockLog, folded

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "nonsense",
        TRACE.upper(),
        TRACE + "-more",
        TRACE + "\n",
        TRACE.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'a' * 31}-{'b' * 16}-01",
    ],
)
def test_what_is_no_traceparent_is_dropped(given: str | None) -> None:
    assert valid_traceparent(given) is None
    with under_traceparent(TRACE):
        with under_traceparent(given):
            assert current_traceparent() is None
            assert with_traceparent({"a": "1"}) == {"a": "1"}
        assert current_traceparent() == TRACE


def test_headers_get_the_trace_of_the_work_at_hand() -> None:
    with under_traceparent(TRACE):
        assert with_traceparent({"a": "1"}) == {"a": "1", "traceparent": TRACE}
    assert trace_id(TRACE) == "a" * 32


def test_lock_facts_belong_to_the_trace_of_the_dispatch_they_decide() -> None:
    log = LockLog()
    log.dispatched("holder")
    log.dispatched("waiter")
    log.events[0].traceparent, log.events[1].traceparent = TRACE, None
    table = folded(log.events)
    for _ in range(2):  # also where the table was taken up from a checkpoint
        granted = table.decide(SPACE)
        assert granted is not None
        assert (granted.event, granted.traceparent) == ("granted", TRACE)
        table = LockTable.restore(table.snapshot())
    grant = log.take(granted)
    ended = log.said("holder", "succeeded", exit_code=0)
    assert grant is not None
    for event in (grant, ended):
        table.fold(event)
    released = table.decide(SPACE)
    assert released is not None
    assert (released.event, released.traceparent) == ("released", TRACE)
