"""Item 5: once all has healed, every task ends, no report is left or lost, and all that is derived agrees.

Read models are held against a replay of the raw log made here, and against each other in every column.
A runner remembers how its attempts ended: each of those ends must stand in the log, or, where the log knew
another end first, on the dead letters.
"""

from __future__ import annotations

from typing import Any

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.lives import Life, Lives
from tests.chaos.check.locks import Locks
from tests.chaos.check.retries import followed
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import Json

REPORTED = ("succeeded", "failed", "canceled")
SHOWN = 5


def check_settled(evidence: Evidence, lives: Lives, locks: Locks, verdict: Verdict) -> None:
    """What must hold at the end. Says what the history does not let it judge."""
    _reports(evidence, lives, verdict)
    if not evidence.settled:
        verdict.unchecked.append("item 5: the history does not say that everything was healed and waited for")
        return
    for life in lives.tasks.values():
        if not life.ended:
            verdict.add(5, "never-ended", f"{life.task} is {life.status} since {life.seq}")
        elif followed(life):
            verdict.add(5, "never-retried", f"{life.task} ended at {life.seq}, and no attempt followed")
    for key in locks.held():
        if key in lives.ends:
            verdict.add(3, "held-after-end", f"{key} holds a lock, but ended at {lives.ends[key].seq}")
    for line in evidence.outboxes:
        if line["rows"]:
            verdict.add(5, "outbox", f"the outbox of {line['runner']} still has {line['rows']} reports")
    for line in evidence.runners:
        for name in sorted(evidence.left & set(line["shown"])):
            verdict.add(5, "left-shown", f"{line['api']} shows {name}, which has said goodbye")
    _views(evidence, locks, verdict)
    _models(evidence, lives, locks, verdict)


def _reports(evidence: Evidence, lives: Lives, verdict: Verdict) -> None:
    for line in evidence.held:
        key, outcome = (line["task"], line["attempt"]), line["outcome"]
        if outcome not in REPORTED:
            continue
        end = lives.ends.get(key)
        if end is not None and end.name == outcome:
            continue
        newer = line["task"] in lives.tasks and lives.tasks[line["task"]].attempt > line["attempt"]
        kept = (*key, outcome) in evidence.dead
        if end is None or not (kept or newer):
            stands = f"it ended {end.name} at {end.seq}" if end else "it has not ended"
            verdict.add(
                5, "report-lost", f"{line['runner']} reported {key} as {outcome}; in the log {stands}"
            )


def _views(evidence: Evidence, locks: Locks, verdict: Verdict) -> None:
    held = sorted(map(list, locks.held()))
    for line in evidence.locks:
        if sorted(line["holders"]) != held or line["waiters"]:
            what = f"{line['api']} shows holders {line['holders'][:SHOWN]}, waiters {line['waiters'][:SHOWN]}"
            verdict.add(5, "lock-view", f"{what}; by the log {held[:SHOWN]} hold and none waits")


def _models(evidence: Evidence, lives: Lives, locks: Locks, verdict: Verdict) -> None:
    if not evidence.models:
        verdict.unchecked.append("item 5: the history has no read models")
    for name, why in evidence.unreadable:
        verdict.add(5, "model-unreadable", f"{name}: {why}")
    names = sorted(evidence.models)
    for name in names:
        rows = evidence.rows.get(name, {})
        if evidence.models[name] != lives.last_seq:
            verdict.add(
                5, "model-position", f"{name} is at {evidence.models[name]}, the log at {lives.last_seq}"
            )
        for task in sorted(rows.keys() ^ lives.tasks.keys())[:SHOWN]:
            where = "not in the log" if task in rows else f"not in {name}"
            verdict.add(5, "model", f"{task} is {where}")
        for task in rows.keys() & lives.tasks.keys():
            _compare("model", name, rows[task], expected(lives.tasks[task], locks), verdict)
    for name in names[1:]:
        first = evidence.rows.get(names[0], {})
        for task, row in evidence.rows.get(name, {}).items():
            if task in first:
                _compare("models-differ", f"{name} (against {names[0]})", row, first[task], verdict)


def _compare(rule: str, name: str, row: Json, wanted: Json, verdict: Verdict) -> None:
    wrong = {column: (row.get(column), value) for column, value in wanted.items() if row.get(column) != value}
    if wrong:
        verdict.add(5, rule, f"{name} shows for {row['id']} (found, expected): {wrong}")


def expected(life: Life, locks: Locks) -> dict[str, Any]:
    """What a read model must show of a task, as far as it can be said without Towpath's own fold."""
    key = (life.task, life.attempt)
    token = locks.tokens.get(key)
    return {
        "status": life.status,
        "attempt": life.attempt,
        "version": life.version,
        "seq": life.seq,
        "title": life.spec["title"],
        "workspace": life.spec["workspace"],
        "pool": life.spec["pool"],
        "runner_id": life.runner,
        "exit_code": life.exit_code,
        "message": life.message,
        "reason": life.reason,
        "cancel_requested": life.cancel_requested,
        "lock_token": token,
    }
