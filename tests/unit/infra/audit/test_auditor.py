"""What `verify` says of registrations and claims: void events are notes, what is built on them a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.event_store.codec import encode
from domain.identifiers import TaskId
from domain.locks.claims import FIRST_CHAIN
from domain.log.events import EVENTS, Kind, RetryPolicy
from domain.task.retries import next_at
from infra.audit.auditor import Auditor
from infra.audit.findings import VerifyReport
from infra.audit.task_states import TaskStates
from tests.unit.domain.samples import created_data

AT = datetime(2026, 3, 1, tzinfo=UTC)
A, B = "/srv/a", "/srv/b"
RETRY = RetryPolicy(max_attempts=3, backoff_seconds=60.0, on=["no-runner", "runner-lost"])


@dataclass
class Stored:
    """A message as it lies in the stream."""

    seq: int
    subject: bytes
    headers: dict[str, str]
    data: bytes

    def header_lines(self) -> list[bytes]:
        return [f"{name}: {value}".encode() for name, value in self.headers.items()]


class Log:
    """Writes what it is told, each link right, and lets the auditor look."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self._ends: dict[tuple[Kind, str], tuple[int, str]] = {}
        self.attempts: dict[str, int] = {}
        self.registrations: dict[tuple[str, str], int] = {}

    def add(self, kind: Kind, subject_id: str, event: str, **data: Any) -> int:
        at, actor = data.pop("at", AT), data.get("by", "ann")
        version, chain = self._ends.get((kind, subject_id), (0, FIRST_CHAIN))
        seq = len(self.stored) + 1
        message = encode(
            kind, subject_id, event, EVENTS[kind, event].model_validate(data), id=f"id{seq}",
            version=version + 1, at=at, actor=actor, expected_seq=0, previous_chain=chain,
        )  # fmt: skip
        self._ends[kind, subject_id] = (version + 1, message.chain)
        headers = dict(message.publish_headers)
        self.stored.append(Stored(seq, message.subject.encode(), headers, message.data))
        return seq

    def registered(self, workspace: str, root: str, on_runner_lost: str = "fail") -> int:
        said = {"root": root, "on_runner_lost": on_runner_lost, "by": "ann"}
        seq = self.add("workspace", workspace, "registered", **said)
        self.registrations[workspace, root] = seq
        return seq

    def dispatched(
        self,
        task: str,
        workspace: str,
        root: str,
        *,
        rejects: bool = False,
        paths: Sequence[str] = (),
        retry: RetryPolicy | None = None,
        **changes: Any,
    ) -> int:
        spec = created_data(workspace=workspace, lock_paths=list(paths), retry=retry)
        if task not in self.attempts:
            self.add("task", task, "created", **spec.model_dump())
        attempt = self.attempts[task] = self.attempts.get(task, 0) + 1
        fields = {
            "registration_seq": self.registrations.get((workspace, root), 1),
            "on_conflict": "reject" if rejects else "wait",
            "by": "ann",
            **changes,
        }
        return self.add(
            "task", task, "dispatched", attempt=attempt, pool="p", workspace=workspace, root=root,
            lock_paths=list(paths), lock_mode="exclusive", **fields,
        )  # fmt: skip

    def lock(self, task: str, workspace: str, event: str, root: str, **data: Any) -> int:
        claim = {
            "task_id": task,
            "attempt": self.attempts[task],
            "root": root,
            "paths": [],
            "mode": "exclusive",
        }
        return self.add("lock", workspace, event, **claim, seen_seq=len(self.stored), **data)

    def refused(self, task: str, workspace: str, root: str, reason: str, valid: str | None) -> int:
        return self.lock(task, workspace, "refused", root, holders=[], reason=reason, valid_root=valid)

    def submit_failed(self, task: str, reason: str) -> int:
        return self.add(
            "task", task, "submit-failed", attempt=self.attempts[task], reason=reason, message=None
        )

    def queued(self, task: str) -> int:
        said = {"runner_id": "r1", "transport": "http"}
        return self.add("task", task, "queued", attempt=self.attempts[task], **said)

    def looked_at(self, rows: dict[str, dict[str, Any]] | None = None) -> VerifyReport:
        """The report; with `rows`, these become what the read model must hold of each task then."""
        report = VerifyReport()
        states = TaskStates(lambda state: b"")
        try:
            auditor = Auditor(report, states, with_rows=rows is not None)
            for stored in self.stored:
                auditor.take(stored)  # type: ignore[arg-type]
            auditor.end(len(self.stored))
            if rows is not None:
                rows |= {task: state.row for task in self.attempts if (state := states.get(task))}
        finally:
            states.close()
        return report


@pytest.fixture
def log() -> Log:
    made = Log()
    made.registered("one", A)
    return made


def faults(log: Log) -> list[tuple[int, str]]:
    return [(one.seq, one.sentence) for one in log.looked_at().findings]


def held(log: Log) -> None:
    log.dispatched("t1", "one", A)
    log.lock("t1", "one", "granted", A)


def test_void_events_are_notes(log: Log) -> None:
    held(log)
    void = log.registered("one", B)
    log.registered("two", A)
    log.add("workspace", "one", "removed", by="ann", reason=None)
    report = log.looked_at()
    assert report.findings == []
    (note,) = report.notes
    counted = f"2 registered, 1 removed (the first at sequence {void})"
    assert note == f"void, since something else came first: {counted}; such events change nothing"


def test_a_refused_void_dispatch_is_whole(log: Log) -> None:
    log.registered("one", B)
    log.dispatched("t1", "one", A)
    log.refused("t1", "one", A, "workspace-changed", B)
    log.submit_failed("t1", "workspace-changed")
    assert faults(log) == []


def test_the_read_model_must_hold_a_void_dispatch_in_no_queue(log: Log) -> None:
    log.registered("two", B)
    log.dispatched("void", "one", B)
    log.dispatched("valid", "one", A)
    rows: dict[str, dict[str, Any]] = {}
    log.looked_at(rows)
    assert (rows["void"]["lock_state"], rows["void"]["lock_since"]) == ("none", None)
    assert rows["valid"]["lock_state"] == "waiting"


def test_a_refusal_may_cross_with_the_end(log: Log) -> None:
    log.registered("one", B)
    seen = log.dispatched("t1", "one", A)
    log.add("task", "t1", "canceled", attempt=1, by="ann", reason=None, runner_id=None, message=None,
            finished_at=AT, output_tail=None)  # fmt: skip
    log.add(
        "lock", "one", "refused", task_id="t1", attempt=1, root=A, paths=[], mode="exclusive", seen_seq=seen,
        holders=[], reason="workspace-changed", valid_root=B,
    )  # fmt: skip
    assert faults(log) == []


def test_a_dispatch_under_a_root_that_was_never_registered(log: Log) -> None:
    log.registered("two", B)
    seq = log.dispatched("t1", "one", B)
    assert faults(log) == [(seq, f"dispatched at sequence {seq}: workspace one was never registered at {B}")]


def test_a_dispatch_pinned_to_another_registration(log: Log) -> None:
    two = log.registered("two", B)
    elsewhere = log.registered("one", f"{B}/below")
    for pinned in (None, two, elsewhere, 999):
        seq = log.dispatched(f"t{pinned}", "one", A, registration_seq=pinned)
        fault = f"workspace one was not registered at {A} by the event at sequence {pinned}"
        assert faults(log)[-1] == (seq, f"dispatched at sequence {seq}: {fault}")


@pytest.mark.parametrize(
    ("registered", "retry", "stated", "by_rule"),
    [("hold", RETRY, None, "hold"), ("fail", RETRY, "hold", "absent"), ("hold", None, "hold", "absent")],
)
def test_a_dispatch_that_keeps_a_lost_runners_lock_against_its_registration(
    log: Log, registered: str, retry: RetryPolicy | None, stated: str | None, by_rule: str
) -> None:
    pinned = log.registered("one", A, registered)
    seq = log.dispatched("t1", "one", A, retry=retry, on_runner_lost=stated)
    ((found, sentence),) = faults(log)
    assert found == seq
    assert (
        f"its on_runner_lost is {stated or 'absent'}, but {by_rule} by the registration at sequence {pinned}"
    ) in sentence


def test_the_policy_of_a_later_registration_does_not_count(log: Log) -> None:
    first = log.registrations["one", A]
    log.registered("one", A, "hold")
    log.dispatched("t1", "one", A, retry=RETRY, registration_seq=first)
    log.dispatched("t2", "one", A, retry=RETRY, on_runner_lost="hold")
    assert faults(log) == []


@pytest.mark.parametrize(("waited", "noted"), [(0.0, True), (57.0, True), (59.0, False), (90.0, False)])
def test_a_retry_before_its_pause_was_over_is_a_note(log: Log, waited: float, noted: bool) -> None:
    """Its time and that of the end come from two processes, whose clocks may differ."""
    log.dispatched("t1", "one", A, retry=RETRY)
    log.submit_failed("t1", "no-runner")
    due = next_at(RETRY, TaskId("t1"), 1, AT) - timedelta(seconds=60 - waited)
    seq = log.dispatched("t1", "one", A, by="retry", at=due)
    report = log.looked_at()
    assert report.findings == []
    assert [f"(the first at sequence {seq})" in note for note in report.notes] == [True] * noted


@pytest.mark.parametrize("paths", [["a/../b"], ["a/"], ["b", "a"], ["a", "a/b"], ["/srv/a/src"]])
def test_paths_that_the_control_plane_would_not_write(log: Log, paths: list[str]) -> None:
    """`a/../b` is `b` on a disk, but as text it overlaps nothing that another claim holds."""
    seq = log.dispatched("t1", "one", A, paths=paths)
    ((found, sentence),) = faults(log)
    assert (found, "not in normal form" in sentence) == (seq, True)


def test_a_root_that_the_control_plane_would_not_write(log: Log) -> None:
    seq = log.registered("two", "/srv/x/../a")
    ((found, sentence),) = faults(log)
    assert (found, "not in normal form" in sentence) == (seq, True)


def test_a_grant_whose_decider_had_seen_the_end(log: Log) -> None:
    log.dispatched("t1", "one", A)
    end = log.add("task", "t1", "canceled", attempt=1, by="ann", reason=None, runner_id=None, message=None,
                  finished_at=AT, output_tail=None)  # fmt: skip
    seq = log.lock("t1", "one", "granted", A)
    seen = f"lock granted at sequence {seq}: its decider had seen sequence {end}"
    assert faults(log)[0] == (seq, f"{seen}, and canceled at {end} had ended the attempt")


def test_a_grant_before_a_release_that_was_owed(log: Log) -> None:
    held(log)
    log.dispatched("t2", "one", A)
    end = log.submit_failed("t1", "no-runner")
    seq = log.lock("t2", "one", "granted", A)
    first = faults(log)[0]
    assert first[0] == seq
    assert f"attempt 1 of task t1 was owed since {end}; releases come first" in first[1]


def test_the_grant_of_a_void_dispatch(log: Log) -> None:
    log.registered("one", B)
    log.dispatched("t1", "one", A)
    seq = log.lock("t1", "one", "granted", A)
    found = faults(log)
    assert found[0][0] == seq
    assert f"was dispatched under {A}, but workspace one was at {B} by then" in found[0][1]


def test_the_reported_fault_is_found(log: Log) -> None:
    """The workspace moved while it was held, and another one's task was granted the same directory."""
    held(log)
    log.registered("one", B)
    log.registered("two", A)
    log.dispatched("t2", "two", A)
    seq = log.lock("t2", "two", "granted", A)
    assert next(one for one, _ in faults(log)) == seq


def test_a_start_under_a_void_grant(log: Log) -> None:
    log.registered("one", B)
    log.dispatched("t1", "one", A)
    log.lock("t1", "one", "granted", A)
    seq = log.queued("t1")
    assert (seq, f"queued at sequence {seq}: queued was recorded without the lock") in faults(log)


@pytest.mark.parametrize(("moved", "reason", "valid"), [
    (True, "workspace-locked", B), (True, "workspace-locked", A), (True, "workspace-changed", A),
    (True, "workspace-changed", None), (False, "workspace-changed", A), (False, "workspace-changed", B),
    (False, "workspace-locked", B),
])  # fmt: skip
def test_a_refusal_whose_reason_is_not_the_verdict(
    log: Log, moved: bool, reason: str, valid: str | None
) -> None:
    if moved:
        log.registered("one", B)
    else:
        held(log)
    log.dispatched("t2", "one", A, rejects=True)
    seq = log.refused("t2", "one", A, reason, valid)
    assert [one for one, _ in faults(log)] == [seq]


def test_a_refusal_that_comes_twice(log: Log) -> None:
    log.registered("one", B)
    log.dispatched("t1", "one", A)
    log.refused("t1", "one", A, "workspace-changed", B)
    seq = log.refused("t1", "one", A, "workspace-changed", B)
    assert [one for one, _ in faults(log)] == [seq]


@pytest.mark.parametrize("reason", ["workspace-changed", "workspace-locked"])
def test_an_attempt_that_failed_for_a_refusal_that_never_was(log: Log, reason: str) -> None:
    log.dispatched("t1", "one", A)
    seq = log.submit_failed("t1", reason)
    assert faults(log) == [
        (seq, f"submit-failed at sequence {seq}: its reason is {reason}, but its claim was not refused")
    ]


def test_an_attempt_that_failed_for_another_reason_than_its_refusal(log: Log) -> None:
    log.registered("one", B)
    log.dispatched("t1", "one", A)
    log.refused("t1", "one", A, "workspace-changed", B)
    seq = log.submit_failed("t1", "workspace-locked")
    assert [one for one, _ in faults(log)] == [seq]


def test_the_refusal_of_an_attempt_before_does_not_count(log: Log) -> None:
    log.registered("one", B)
    log.dispatched("t1", "one", A)
    log.refused("t1", "one", A, "workspace-changed", B)
    log.submit_failed("t1", "workspace-changed")
    log.dispatched("t1", "one", B)
    seq = log.submit_failed("t1", "workspace-changed")
    assert [one for one, _ in faults(log)] == [seq]
