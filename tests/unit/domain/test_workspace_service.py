"""Registering workspaces: idempotent, and of two that race past the check the log's order picks one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import NotFound, Refused
from domain.lock_read import LockEntry
from domain.log import Recorded
from domain.ports.log import AppendConflict
from domain.workspace_service import WorkspaceService
from domain.workspaces import Registration, WorkspaceTable

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class OneLog:
    """Registrations in a list, and the view of it; `before_append` lets another be faster."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self.table = WorkspaceTable()
        self.busy: set[str] = set()
        self.before_append: Callable[[], None] = lambda: None

    def add(self, workspace: str, event: str, data: dict[str, Any]) -> Recorded:
        version = 1 + sum(one.subject_id == workspace for one in self.events)
        found = Recorded(
            len(self.events) + 1, "workspace", workspace, event, "id", version, None, "t", "a", "c", data
        )
        self.events.append(found)
        self.table.fold(found)
        return found

    async def last_registration(self, workspace: str) -> Recorded | None:
        return next((one for one in reversed(self.events) if one.subject_id == workspace), None)

    async def append_registered(
        self, workspace: str, last: Recorded | None, root: str, on_runner_lost: str, **_: Any
    ) -> Recorded:
        self.before_append()
        if await self.last_registration(workspace) != last:
            raise AppendConflict("moved on")
        return self.add(workspace, "registered", {"root": root, "on_runner_lost": on_runner_lost})

    async def append_removed(self, workspace: str, last: Recorded, reason: str | None, **_: Any) -> Recorded:
        return self.add(workspace, "removed", {"reason": reason})

    async def registration(self, workspace: str) -> Registration | None:
        return self.table.get(workspace)

    def registrations(self) -> Sequence[Registration]:
        return list(self.table)

    async def caught_up(self, seq: int, timeout: float = 2.0) -> bool:
        return True

    def entries(self, workspace: str) -> list[LockEntry]:
        holders = [
            {"task_id": "t", "attempt": 1, "runner_id": None, "paths": [], "mode": "shared",
             "token": 1, "since": NOW}
        ] if workspace in self.busy else []  # fmt: skip
        return [LockEntry.model_validate({"workspace": workspace, "holders": holders, "waiters": []})]


@pytest.fixture
def log() -> OneLog:
    return OneLog()


@pytest.fixture
def service(log: OneLog) -> WorkspaceService:
    return WorkspaceService(log, log, lambda: NOW)


async def test_registering_twice_records_once(log: OneLog, service: WorkspaceService) -> None:
    first, new = await service.register("shop", "/srv/shop/", "fail", "admin")
    again, new_again = await service.register("shop", "/srv/shop", "fail", "admin")
    assert (first, new, new_again) == (again, True, False)
    assert len(log.events) == 1


async def test_a_change_is_recorded(log: OneLog, service: WorkspaceService) -> None:
    await service.register("shop", "/srv/shop", "fail", "admin")
    changed, new = await service.register("shop", "/srv/shop", "hold", "admin")
    assert (changed.on_runner_lost, changed.seq, new) == ("hold", 2, False)


@pytest.mark.parametrize("root", ["/srv/shop", "/srv/shop/src", "/srv", "/"])
async def test_an_overlapping_root_is_refused(log: OneLog, service: WorkspaceService, root: str) -> None:
    await service.register("shop", "/srv/shop", "fail", "admin")
    with pytest.raises(Refused) as refusal:
        await service.register("other", root, "fail", "admin")
    assert (refusal.value.code, refusal.value.extra["workspace"]) == ("root-overlap", "shop")
    assert len(log.events) == 1


async def test_of_two_racing_overlapping_roots_the_first_in_the_log_stands(
    log: OneLog, service: WorkspaceService
) -> None:
    def other_is_faster() -> None:
        log.before_append = lambda: None
        log.add("faster", "registered", {"root": "/srv", "on_runner_lost": "fail"})

    log.before_append = other_is_faster
    with pytest.raises(Refused, match="overlaps"):
        await service.register("slower", "/srv/shop", "fail", "admin")
    assert [one.id for one in log.table] == ["faster"]


async def test_a_race_for_the_same_workspace_is_decided_again(log: OneLog, service: WorkspaceService) -> None:
    def other_is_faster() -> None:
        log.before_append = lambda: None
        log.add("shop", "registered", {"root": "/srv/shop", "on_runner_lost": "hold"})

    log.before_append = other_is_faster
    registered, _ = await service.register("shop", "/srv/shop", "fail", "admin")
    assert (registered.on_runner_lost, registered.seq) == ("fail", 2)


async def test_removal_frees_the_root_and_needs_an_idle_workspace(
    log: OneLog, service: WorkspaceService
) -> None:
    with pytest.raises(NotFound):
        await service.remove("shop", None, "admin")
    await service.register("shop", "/srv/shop", "fail", "admin")
    log.busy.add("shop")
    with pytest.raises(Refused, match="end or cancel"):
        await service.remove("shop", None, "admin")
    log.busy.clear()
    await service.remove("shop", "moved", "admin")
    registered, new = await service.register("other", "/srv/shop", "fail", "admin")
    assert (registered.id, new) == ("other", True)
