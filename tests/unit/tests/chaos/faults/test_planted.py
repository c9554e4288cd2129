"""Each bug that `--plant` builds into the processes still is one: what it changes has not moved away.

Each is planted in a process of its own, since it changes what all others use.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.event_store.codec import encode
from domain.log.events import QueuedData
from domain.protocol import Report, Submission
from infra.nats.embedded_server import EmbeddedNats
from runner.store.state import Key, RunnerState
from tests.chaos.check import check
from tests.chaos.faults.planted import BUGS
from tests.integration.runner.harness import submission
from tests.unit.domain.locks.lock_log import SPACE, LockLog, new_table
from tests.unit.tests.chaos.small_run import SmallRun

TRIES = 40
"""A bug shows in 3 of 10 cases."""


def _appends_plainly() -> bool:
    data = QueuedData(attempt=1, runner_id="r", transport="http")
    message = encode(
        "task", "t", "queued", data, id="i", version=3, at=datetime.now(UTC), actor="r", expected_seq=2
    )
    return any("Nats-Expected-Last-Subject-Sequence" not in message.publish_headers for _ in range(TRIES))


def _loses_a_report() -> bool:
    with tempfile.TemporaryDirectory() as directory, closing(RunnerState(Path(directory))) as state:
        for number in range(TRIES):
            sent = Submission.model_validate(submission(["true"], attempt=number + 1))
            state.accept(sent, "nats", None)
            attempt = state.find(Key(sent.task_id, sent.attempt))
            assert attempt is not None
            state.end(attempt, "succeeded", Report(status="succeeded", attempt=sent.attempt))
        return state.outbox_depth() < TRIES


def _forgets_a_start() -> bool:
    for run in (SmallRun(seed).play() for seed in range(12)):
        events = [one for one in run.log if one.subject.endswith(".running")]
        ran = {(one.subject.split(".")[2], int(one.headers["ce-attempt"])) for one in events}
        rows = [line["row"] for line in run.history if line["line"] == "row"]
        if any(row["started_at"] is None and (row["id"], row["attempt"]) in ran for row in rows):
            return True
    return False


def _breaks(item: int, rule: str) -> Callable[[], bool]:
    def shows() -> bool:
        runs = (SmallRun(seed).play() for seed in range(12))
        return any((item, rule) in check(run.history, run.log).rules() for run in runs)

    return shows


def _syncs_late() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedNats(Path(directory), port=0, monitor_port=0)
        server._passwords = {"towpath": "a", "runner": "b"}
        return 'sync_interval: "always"' not in server._write_config().read_text()


def _moves_in_use() -> bool:
    log, table = LockLog(), new_table()
    log.dispatched("one")
    log.registered(SPACE, "/elsewhere")
    for event in log.events:
        table.fold(event)
    return table.judged is None


SHOWS = {
    "moving-in-use": _moves_in_use,
    "unsynced-log": _syncs_late,
    "plain-append": _appends_plainly,
    "lost-outbox-row": _loses_a_report,
    "release-on-cancel-requested": _breaks(3, "cause"),
    "skipping-fold": _forgets_a_start,
    "granting-twice": _breaks(3, "two-holders"),
}


def _with(bug: str) -> bool:
    BUGS[bug]()
    return SHOWS[bug]()


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_bug_that_is_planted_into_the_processes_shows(bug: str) -> None:
    assert not SHOWS[bug]()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as elsewhere:
        assert elsewhere.submit(_with, bug).result(60)
