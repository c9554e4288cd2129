"""What a lock table keeps: what is open, and nothing of the attempts that have ended."""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest

from domain.locks.table import LockTable
from tests.unit.domain.locks.lock_log import LockLog, folded, new_table, settle

CODE = type | ModuleType | FunctionType | BuiltinFunctionType


def one_by_one(log: LockLog, table: LockTable, lives: int) -> None:
    for number in range(lives):
        log.dispatched(f"t{number}", "src")
        settle(log, table)
        log.said(f"t{number}", "succeeded")
        settle(log, table)


def each_behind_the_last(log: LockLog, table: LockTable, lives: int) -> None:
    log.dispatched("t0", "src")
    for number in range(lives):
        log.dispatched(f"t{number + 1}", "src")
        settle(log, table)
        log.said(f"t{number}", "canceled")
        settle(log, table)
    log.said(f"t{lives}", "failed")
    settle(log, table)


def canceled_while_they_wait(log: LockLog, table: LockTable, lives: int) -> None:
    log.dispatched("holder", "src")
    for number in range(lives):
        log.dispatched(f"t{number}", "src")
        settle(log, table)
        log.said(f"t{number}", "canceled")
    log.said("holder", "succeeded")
    settle(log, table)


def objects(root: object) -> int:
    """How many objects it holds, directly or not; code and types do not count."""
    seen: dict[int, object] = {}
    found: list[Any] = [root]
    while found:
        one = found.pop()
        if id(one) not in seen and not isinstance(one, CODE):
            seen[id(one)] = one
            found += gc.get_referents(one)
    return len(seen)


@pytest.mark.parametrize("live", [one_by_one, each_behind_the_last, canceled_while_they_wait])
@pytest.mark.parametrize("decides", [True, False], ids=["one that decides", "one that only follows"])
def test_nothing_is_kept_of_attempts_that_have_ended(
    live: Callable[[LockLog, LockTable, int], None], decides: bool
) -> None:
    def kept(lives: int) -> int:
        log, table = LockLog(), new_table()
        live(log, table, lives)
        assert table.open_claims() == (0, 0)
        return objects(table if decides else folded(log.events))

    few, many = kept(10), kept(200)
    assert few > 10
    assert many < few + 20
