"""The checker's own judgement of registrations and claims: each broken rule is found, kept ones are not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.lives import Lives
from tests.chaos.check.locks import Locks
from tests.chaos.check.registrations import Registrations, check_registrations
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import Json
from tests.chaos.raw_log import Fact, Stored


class Log:
    """Facts one after the other, each told to the checker at once."""

    def __init__(self) -> None:
        self.verdict, self.registrations = Verdict(), Registrations()
        self._lives = Lives(Verdict())
        self._locks = Locks(self.verdict, self.registrations)
        self._seq: Iterator[int] = itertools.count(1)

    def registered(self, workspace: str, root: str) -> int:
        return self._add("workspace", workspace, "registered", {"root": root})

    def removed(self, workspace: str) -> int:
        return self._add("workspace", workspace, "removed", {})

    def claimed(self, task: str, workspace: str, root: str, *paths: str) -> None:
        data = {
            "attempt": 1,
            "workspace": workspace,
            "root": root,
            "lock_paths": list(paths),
            "lock_mode": "exclusive",
        }
        self._add("task", task, "created", {"workspace": workspace, "labels": {}})
        self._add("task", task, "dispatched", data, 1)

    def granted(self, task: str, workspace: str, root: str, *paths: str) -> int:
        return self._lock(task, workspace, "granted", root=root, paths=list(paths), mode="exclusive")

    def refused(self, task: str, workspace: str, reason: str) -> None:
        self._lock(task, workspace, "refused", reason=reason)

    def ended(self, task: str) -> None:
        self._add("task", task, "failed", {"attempt": 1}, 1)

    def released(self, task: str, workspace: str) -> None:
        end = self._lives.ends[task, 1]
        self._lock(task, workspace, "released", cause=end.name, cause_seq=end.seq)

    def rules(self) -> set[str]:
        return {rule for _, rule in self.verdict.rules()}

    def _lock(self, task: str, workspace: str, name: str, **data: object) -> int:
        return self._add("lock", workspace, name, {"task_id": task, "attempt": 1, **data})

    def _add(self, kind: str, entity: str, name: str, data: Json, attempt: int | None = None) -> int:
        fact = Fact(next(self._seq), kind, entity, name, "", 0, attempt, data, 0.0)
        self.registrations.see(fact)
        self._lives.see(fact, Stored(fact.seq, "", {}, ""), self._locks)
        self._locks.see(fact, self._lives)
        return fact.seq


def test_two_workspaces_that_came_to_share_a_directory_are_two_holders() -> None:
    log = Log()
    log.registered("one", "/a")
    log.claimed("t1", "one", "/a", "src")
    log.granted("t1", "one", "/a", "src")
    log.registrations._holding.clear()  # as a fold does that lets a workspace in use move
    log.registered("one", "/b")
    log.registered("two", "/a")
    log.claimed("t2", "two", "/a", "src/api")
    log.granted("t2", "two", "/a", "src/api")
    assert log.rules() == {"two-holders"}


def test_a_move_of_a_workspace_in_use_is_void_and_what_was_claimed_after_it_gets_nothing() -> None:
    log = Log()
    log.registered("one", "/a")
    log.claimed("t1", "one", "/a")
    log.granted("t1", "one", "/a")
    moved = log.registered("one", "/b")
    removed = log.removed("one")
    assert log.registrations.void_registrations == {moved, removed}
    log.claimed("t2", "one", "/b")
    assert log.registrations.void_claims == {("t2", 1)}
    log.granted("t2", "one", "/b")
    assert log.rules() == {"void-claim"}


def test_a_workspace_moves_once_its_lock_is_back() -> None:
    log = Log()
    log.registered("one", "/a")
    log.claimed("t1", "one", "/a")
    log.granted("t1", "one", "/a")
    log.ended("t1")
    early = log.registered("one", "/b")
    log.released("t1", "one")
    log.registered("one", "/b")
    assert log.registrations.void_registrations == {early}
    assert log.registrations.roots == {"one": "/b"}
    log.claimed("t2", "one", "/b")
    log.granted("t2", "one", "/b")
    assert log.rules() == set()


def test_overlapping_roots_are_void_whichever_is_inside() -> None:
    log = Log()
    log.registered("one", "/a/b")
    inside, above, beside = (
        log.registered("two", "/a/b/c"),
        log.registered("two", "/a"),
        log.registered("two", "/a/bc"),
    )
    assert log.registrations.void_registrations == {inside, above}
    assert log.registrations.registered[beside] == ("two", "/a/bc")


def test_refusals_say_what_the_claim_was() -> None:
    log = Log()
    log.registered("one", "/a")
    log.claimed("void", "one", "/elsewhere")
    log.refused("void", "one", "workspace-changed")
    log.claimed("good", "one", "/a")
    assert log.rules() == set()
    log.refused("good", "one", "workspace-changed")
    assert log.rules() == {"refusal"}
    log.refused("good", "one", "workspace-changed")
    assert log.rules() == {"refusal", "refused-twice"}


def test_a_void_claim_refused_as_a_locked_one_is_found() -> None:
    log = Log()
    log.registered("one", "/a")
    log.claimed("void", "one", "/elsewhere")
    log.refused("void", "one", "workspace-locked")
    assert log.rules() == {"refusal"}


def test_an_answer_that_calls_a_void_registration_good_is_found() -> None:
    log = Log()
    log.registered("one", "/a")
    void = log.registered("two", "/a/b")
    line = {"line": "registration", "workspace": "two", "root": "/a/b", "outcome": "ok", "seq": void}
    check_registrations(Evidence.of([line]), log.registrations, log.verdict)
    assert log.rules() == {"registration"}


def test_an_api_that_shows_other_workspaces_than_the_log_is_found() -> None:
    log = Log()
    log.registered("one", "/a")
    line = {"line": "workspaces", "api": "api1", "roots": {"one": "/b"}}
    check_registrations(Evidence.of([line]), log.registrations, log.verdict)
    assert log.rules() == {"workspaces"}
