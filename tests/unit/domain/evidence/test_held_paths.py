"""Holders across workspaces: which files they share, and what it costs to look for them."""

from __future__ import annotations

import cProfile
from types import CodeType

import pytest

from domain.evidence.held_paths import HeldPaths
from domain.locks.claims import Claim
from domain.locks.table import LockTable
from domain.workspaces.registry import Registration
from tests.unit.domain.locks.lock_log import LockLog, new_table, settle


def test_a_grant_does_not_pay_for_the_holders_of_workspaces_elsewhere() -> None:
    def calls(workspaces: int) -> int:
        roots = {f"w{number}": f"/srv/{number}" for number in range(workspaces)}
        log, table = LockLog(), LockTable(Registration(*one, "fail", 0, 0) for one in roots.items())
        held = HeldPaths()
        for name, root in roots.items():
            log.dispatched(name, "src", workspace=name, root=root)
            settle(log, table, name)
            held.follow(log.events[-1], table)
        profile = cProfile.Profile()
        claim = Claim("late", 1, "late", "/srv/1/inside", ("src",), "exclusive", "wait", 9, "")
        assert profile.runcall(held.fault, claim) is None
        elsewhere = claim._replace(root="/srv/1/src")
        fault = profile.runcall(held.fault, elsewhere)
        assert fault is not None
        assert "by workspace w1 " in fault
        entries = (entry for entry in profile.getstats() if isinstance(entry.code, CodeType))
        return sum(entry.callcount for entry in entries if "/domain/" in entry.code.co_filename)

    few, many = calls(3), calls(300)
    assert few > 1
    assert many == few


@pytest.mark.parametrize(
    ("root", "paths", "mode", "shared"),
    [
        ("/srv/acme", (), "exclusive", True),
        ("/srv/acme", ("src",), "exclusive", True),
        ("/srv/acme/src", (), "exclusive", True),
        ("/srv", ("acme/src/x",), "exclusive", True),
        ("/srv", ("acme/docs",), "exclusive", False),
        ("/srv/moved", (), "exclusive", False),
        ("/srv/acme", ("src",), "shared", True),
    ],
)
def test_files_are_compared_across_workspaces(
    root: str, paths: tuple[str, ...], mode: str, shared: bool
) -> None:
    log, table = LockLog(), new_table()
    log.dispatched("one", "src")
    settle(log, table)
    paths_held = HeldPaths()
    granted = next(event for event in log.events if event.event == "granted")
    paths_held.follow(granted, table)
    claim = Claim("two", 1, "elsewhere", root, paths, mode, "wait", 9, "")
    assert (paths_held.fault(claim) is not None) == shared
    log.said("one", "succeeded")
    settle(log, table)
    paths_held.follow(log.events[-1], table)
    assert paths_held.fault(claim) is None
