"""`python -m tests.chaos.faults.planted BUG …`: `towpath …` with a known bug in it, which a run must find.

The bugs are those that would be easy to write: each takes away one thing that a promise stands on. A run with
`--plant BUG` that reports no violation means that the checker, or the run, is blind.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

OFTEN = 0.3


def plain_append() -> None:
    """An append without its expectation, among all others that have theirs."""
    from adapters.event_store import codec

    checked = codec.Message.publish_headers.fget
    assert checked is not None

    def headers(message: codec.Message) -> dict[str, str]:
        found: dict[str, str] = checked(message)
        if random.random() < OFTEN:
            found = {name: value for name, value in found.items() if not name.startswith("Nats-Expected")}
        return found

    codec.Message.publish_headers = property(headers)


def release_on_cancel_requested() -> None:
    """The lock comes back as soon as somebody asks for an end."""
    from domain.locks.claims import Owed
    from domain.locks.table import LockTable

    fold = LockTable.fold

    def early(table: LockTable, event: Any) -> str | None:
        workspace = fold(table, event)
        if event.event == "cancel-requested" and workspace is not None:
            grant = table.grant(event.subject_id, event.attempt)
            if grant is not None:
                table._workspaces[workspace].owe(grant.claim.key, Owed("canceled", event.seq, event.actor))
        return workspace

    LockTable.fold = early


def lost_outbox_row() -> None:
    """A runner that sometimes forgets to keep the report of an end."""
    from runner.store.state import RunnerState

    put = RunnerState._put

    def forgetful(state: RunnerState, key: Any, submission: Any, transport: Any, report: Any) -> Any:
        ends = report is not None and report.status in ("succeeded", "failed", "canceled")
        return put(state, key, submission, transport, None if ends and random.random() < OFTEN else report)

    RunnerState._put = forgetful


def skipping_fold() -> None:
    """A read model that passes over some messages."""
    from adapters.read_model.writing.rows import TASK_FACTS

    fold = TASK_FACTS["running"]

    def careless(row: Any, event: Any) -> None:
        if event.seq % 7:
            fold(row, event)

    TASK_FACTS["running"] = careless


def granting_twice() -> None:
    """A projector that sometimes does not see who holds a lock."""
    from domain.locks.conflict_index import LockIndex

    in_the_way = LockIndex._in_the_way
    LockIndex._in_the_way = lambda index, one: (
        0 if random.Random(one.claim.seq).random() < OFTEN else in_the_way(index, one)
    )


def unsynced_log() -> None:
    """A log that is acknowledged before it is on the disk; only a power cut shows it."""
    from infra.nats.embedded_server import EmbeddedNats

    write = EmbeddedNats._write_config

    def later(server: Any) -> Any:
        path = write(server)
        path.write_text(path.read_text().replace('sync_interval: "always"', 'sync_interval: "2m"'))
        return path

    EmbeddedNats._write_config = later


def moving_in_use() -> None:
    """A workspace moves, or goes, while tasks hold and wait in it."""
    from domain.locks.judging import Judge

    judge = Judge.would_be_void

    def lenient(self: Judge, *about: Any, **event: Any) -> Any:
        void = judge(self, *about, **event)
        return None if void is not None and void.reason == "workspace-in-use" else void

    Judge.would_be_void = lenient


BUGS: dict[str, Callable[[], None]] = {
    "plain-append": plain_append,
    "release-on-cancel-requested": release_on_cancel_requested,
    "lost-outbox-row": lost_outbox_row,
    "skipping-fold": skipping_fold,
    "granting-twice": granting_twice,
    "unsynced-log": unsynced_log,
    "moving-in-use": moving_in_use,
}

if __name__ == "__main__":
    from infra.cli.app import main

    bug = sys.argv.pop(1)
    BUGS[bug]()
    main()
