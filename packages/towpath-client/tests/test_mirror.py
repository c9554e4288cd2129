"""Both clients have the same names, parameters and results."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from towpath_client import AsyncClient, AsyncLock, Client, Lock

METHODS = {
    "run", "create", "dispatch", "cancel", "wait", "get", "tasks", "count", "trail", "events", "locks",
    "release", "output", "output_range", "workspaces", "ask", "answer", "why", "close", "lock",
    "attempts", "runners", "question",
}  # fmt: skip
NOT_AWAITED = {"lock", "tasks", "attempts", "trail", "events", "locks", "output", "workspaces", "runners"}


def public(kind: type[Any]) -> set[str]:
    return {name for name, member in vars(kind).items() if not name.startswith("_") and callable(member)}


def test_both_have_every_method() -> None:
    assert public(Client) == public(AsyncClient)
    assert public(Client) >= METHODS


@pytest.mark.parametrize("name", [*sorted(public(Client)), "__init__"])
def test_the_signatures_are_the_same(name: str) -> None:
    sync, other = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))
    assert sync.parameters == other.parameters
    assert str(sync.return_annotation) == re.sub(
        r"\bAsync(?=Iterator|Lock)", "", str(other.return_annotation)
    )


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_waits_is_awaited(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(AsyncClient, name)) == (name not in NOT_AWAITED)
    assert not inspect.iscoroutinefunction(getattr(Client, name))


def test_both_locks_have_the_same_members() -> None:
    members = [{name for name in vars(kind) if not name.startswith("_")} for kind in (Lock, AsyncLock)]
    assert members[0] == members[1] == {"task_id", "token", "check"}
    assert inspect.signature(Lock.check) == inspect.signature(AsyncLock.check)
