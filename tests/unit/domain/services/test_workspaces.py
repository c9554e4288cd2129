"""Registering workspaces: idempotent, and of requests that race past the check the log's order picks one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import Busy, NotFound, Refused
from domain.locks.judging import Judge, Void
from domain.log.record import Recorded
from domain.ports.log import AppendConflict
from domain.services.workspaces import WorkspaceService
from domain.workspaces.registry import Registration

NOW = datetime(2026, 3, 1, tzinfo=UTC)
A, B = "/srv/shop", "/srv/moved"


class OneLog:
    """A log in a list, and the view of it.

    `before_append` lets another be faster, `behind_append` changes what is registered before the answer.
    `unread` events are in the log but not yet in the view; `stuck` says that it never reads them.
    """

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self.judge = Judge()
        self.verdicts: dict[int, Void | None] = {}
        self.unread: list[Recorded] = []
        self.stuck = False
        self.before_append: Callable[[], None] = lambda: None
        self.behind_append: Callable[[], None] = lambda: None

    def add(self, workspace: str, event: str, data: dict[str, Any]) -> Recorded:
        """Append to the log; the view reads it later."""
        version = 1 + sum(one.subject_id == workspace for one in self.events)
        kind: Any = "task" if event in ("dispatched", "succeeded") else "workspace"
        attempt = 1 if kind == "task" else None
        found = Recorded(
            len(self.events) + 1, kind, workspace, event, "id", version, attempt, "t", "a", "c",
            {"by": "a", "attempt": attempt, **data},
        )  # fmt: skip
        self.events.append(found)
        self.unread.append(found)
        return found

    def registers(self, workspace: str, root: str, on_runner_lost: str = "fail") -> Recorded:
        return self.add(workspace, "registered", {"root": root, "on_runner_lost": on_runner_lost})

    def dispatches(self, task_id: str, workspace: str, root: str) -> Recorded:
        return self.add(task_id, "dispatched", {"workspace": workspace, "root": root})

    def read(self) -> None:
        for event in self.unread:
            self.verdicts[event.seq] = self.judge.fold(event)
        self.unread.clear()

    def root(self, workspace: str) -> str | None:
        self.read()
        found = self.judge.registrations.get(workspace)
        return found.root if found else None

    # ------------------------------------------------------------------ the log

    async def last_registration(self, workspace: str) -> Recorded | None:
        key = ("workspace", workspace)
        return next((one for one in reversed(self.events) if (one.kind, one.subject_id) == key), None)

    async def append_registered(
        self, workspace: str, last: Recorded | None, root: str, on_runner_lost: str, **_: Any
    ) -> Recorded:
        self.before_append()
        if await self.last_registration(workspace) != last:
            raise AppendConflict("moved on")
        event = self.registers(workspace, root, on_runner_lost)
        self.behind_append()
        return event

    async def append_removed(self, workspace: str, last: Recorded, reason: str | None, **_: Any) -> Recorded:
        self.before_append()
        event = self.add(workspace, "removed", {"reason": reason})
        self.behind_append()
        return event

    # ------------------------------------------------------------------ the view

    async def at_end(self) -> None:
        if self.stuck:
            raise Busy("view-behind", "later")
        self.read()

    async def caught_up(self, seq: int, timeout: float = 2.0) -> bool:
        if not self.stuck:
            self.read()
        return not self.stuck

    def would_be_void(self, workspace: str, root: str | None) -> Void | None:
        return self.judge.would_be_void(workspace, root)

    def verdict(self, seq: int) -> Void | None:
        return self.verdicts[seq]

    def seen_registration(self, workspace: str) -> Registration | None:
        return self.judge.registrations.get(workspace)

    def registrations(self) -> Sequence[Registration]:
        return list(self.judge.registrations)


@pytest.fixture
def log() -> OneLog:
    return OneLog()


@pytest.fixture
def service(log: OneLog) -> WorkspaceService:
    return WorkspaceService(log, log, lambda: NOW)


async def test_registering_twice_records_once(log: OneLog, service: WorkspaceService) -> None:
    first, new = await service.register("shop", "/srv/shop/", "fail", "admin")
    again, new_again = await service.register("shop", "//srv//shop", "fail", "admin")
    assert (first, new, new_again) == (again, True, False)
    assert len(log.events) == 1


async def test_a_change_is_recorded(log: OneLog, service: WorkspaceService) -> None:
    await service.register("shop", A, "fail", "admin")
    changed, new = await service.register("shop", A, "hold", "admin")
    assert (changed.on_runner_lost, changed.seq, new) == ("hold", 2, False)


@pytest.mark.parametrize("root", [A, f"{A}/src", "/srv", "/", f"{A}/", "//srv///shop"])
async def test_an_overlapping_root_is_refused(log: OneLog, service: WorkspaceService, root: str) -> None:
    await service.register("shop", A, "fail", "admin")
    with pytest.raises(Refused) as refusal:
        await service.register("other", root, "fail", "admin")
    assert (refusal.value.code, refusal.value.extra["workspace"]) == ("root-overlap", "shop")
    assert len(log.events) == 1


async def test_of_two_racing_overlapping_roots_the_first_in_the_log_stands(
    log: OneLog, service: WorkspaceService
) -> None:
    log.before_append = lambda: log.registers("faster", "/srv") and None
    with pytest.raises(Refused, match="overlaps") as refusal:
        await service.register("slower", A, "fail", "admin")
    assert (refusal.value.code, refusal.value.extra["seq"]) == ("root-overlap", 2)
    assert [one.id for one in log.registrations()] == ["faster"]


async def test_a_race_for_the_same_workspace_is_decided_again(log: OneLog, service: WorkspaceService) -> None:
    def other_is_faster() -> None:
        log.before_append = lambda: None
        log.registers("shop", A, "hold")

    log.before_append = other_is_faster
    registered, _ = await service.register("shop", A, "fail", "admin")
    assert (registered.on_runner_lost, registered.seq) == ("fail", 2)


async def test_removal_frees_the_root(log: OneLog, service: WorkspaceService) -> None:
    with pytest.raises(NotFound):
        await service.remove("shop", None, "admin")
    await service.register("shop", A, "fail", "admin")
    await service.remove("shop", "moved", "admin")
    registered, new = await service.register("other", A, "fail", "admin")
    assert (registered.id, new) == ("other", True)


# ---------------------------------------------------------------- a workspace in use


async def test_a_workspace_in_use_neither_moves_nor_goes(log: OneLog, service: WorkspaceService) -> None:
    await service.register("shop", A, "fail", "admin")
    log.dispatches("task", "shop", A)
    for asked in (
        lambda: service.register("shop", B, "fail", "admin"),
        lambda: service.register("shop", f"{A}/src", "fail", "admin"),
        lambda: service.remove("shop", None, "admin"),
    ):
        with pytest.raises(Refused, match="end or cancel") as refusal:
            await asked()
        assert refusal.value.code == "workspace-in-use"
    assert len(log.events) == 2
    changed, _ = await service.register("shop", A, "hold", "admin")
    assert changed.on_runner_lost == "hold"


@pytest.mark.parametrize("removes", [False, True])
async def test_a_dispatch_that_comes_first_makes_the_request_void(
    log: OneLog, service: WorkspaceService, removes: bool
) -> None:
    await service.register("shop", A, "fail", "admin")
    log.before_append = lambda: log.dispatches("task", "shop", A) and None
    with pytest.raises(Refused) as refusal:
        await (service.remove("shop", None, "a") if removes else service.register("shop", B, "fail", "a"))
    assert (refusal.value.code, refusal.value.extra["seq"]) == ("workspace-in-use", 3)
    assert log.root("shop") == A


async def test_what_comes_behind_does_not_change_the_answer(log: OneLog, service: WorkspaceService) -> None:
    """The registration counted where it stands; that it is gone by now is another matter."""
    log.behind_append = lambda: log.add("shop", "removed", {"reason": None}) and None
    registered, new = await service.register("shop", A, "fail", "admin")
    assert (registered.root, registered.seq, new) == (A, 1, True)
    assert log.root("shop") is None


async def test_a_void_one_is_refused_though_its_root_is_valid_by_now(
    log: OneLog, service: WorkspaceService
) -> None:
    await service.register("shop", A, "fail", "admin")
    log.before_append = lambda: log.dispatches("task", "shop", A) and None

    def ends_and_moves() -> None:
        log.add("task", "succeeded", {})
        log.registers("shop", B)

    log.behind_append = ends_and_moves
    with pytest.raises(Refused) as refusal:
        await service.register("shop", B, "fail", "admin")
    assert refusal.value.code == "workspace-in-use"
    assert log.root("shop") == B


async def test_nothing_is_answered_on_a_view_that_is_behind(log: OneLog, service: WorkspaceService) -> None:
    """An old view would say `the same` here, or that the root is taken."""
    await service.register("shop", A, "fail", "admin")
    log.registers("shop", B)
    log.stuck = True
    for workspace, root in (("shop", A), ("other", A)):
        with pytest.raises(Busy):
            await service.register(workspace, root, "fail", "admin")
    with pytest.raises(Busy):
        await service.remove("shop", None, "admin")
    log.stuck = False
    registered, new = await service.register("other", A, "fail", "admin")
    assert (registered.root, new) == (A, True)
