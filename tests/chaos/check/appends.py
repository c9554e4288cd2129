"""Item 1: what was acknowledged stands once at its sequence, what was refused does not, unknown at most once.

An operation's number stands in the event it led to, except for `dispatched` and `queued`, which have no free
field: there the events of a task are counted against the operations that may have led to them. An answer may
also say that there was nothing to do (a report came twice): then another event must explain it. Over NATS an
answer says only that a report is kept: it must stand, or be explained, or lie on the dead letters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tests.chaos.check.evidence import Evidence, Op
from tests.chaos.check.lives import ENDS, Life, Lives
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import PID_BASE
from tests.chaos.raw_log import Fact

RANK = {"created": 0, "dispatched": 1, "queued": 2, "running": 3}
BY_NAME = {"dispatch": "dispatched", "queued": "queued"}


def check_appends(evidence: Evidence, facts: Iterable[Fact], lives: Lives, verdict: Verdict) -> None:
    """Hold every operation against the log."""
    facts = list(facts)
    marked, counted = _index(facts)
    released = {fact.data["task_id"] for fact in facts if (fact.kind, fact.name) == ("lock", "released")}
    for op in evidence.ops.values():
        events = marked.get(op.number, [])
        for name, times in Counter(event.name for event in events).items():
            if times > 1:
                _say(verdict, op, "twice", f"{name} stands {times} times: {[one.seq for one in events]}")
        if any(event.entity != op.task for event in events):
            _say(verdict, op, "other-task", f"it stands with another task: {events}")
        if op.verdict == "fail" and events:
            _say(verdict, op, "refused-stands", f"{op.answer.get('code')}, but {events[0].seq} says it")
        if op.verdict == "ok":
            _acknowledged(op, events, evidence, lives, verdict)
        if op.verdict == "ok" and op.answer.get("released") and op.task not in released:
            _say(verdict, op, "lost", "acknowledged as released, but no lock of it was")
    _each_its_own_attempt(evidence, verdict)
    _count(evidence, counted, verdict)


def _index(facts: Iterable[Fact]) -> tuple[dict[int, list[Fact]], Counter[tuple[str, str]]]:
    marked: defaultdict[int, list[Fact]] = defaultdict(list)
    counted: Counter[tuple[str, str]] = Counter()
    for fact in facts:
        if fact.kind != "task":
            continue
        number = op_in(fact)
        if number is not None:
            marked[number].append(fact)
        if fact.name in BY_NAME.values() and fact.data.get("by") != "retry":
            counted[fact.entity, fact.name] += 1
    return marked, counted


def op_in(fact: Fact) -> int | None:
    """The number of the operation that led to an event, where it says one."""
    if fact.name == "created":
        number = fact.data["labels"].get("op", "")
        return int(number) if number.isdecimal() else None
    if fact.name == "running":
        pid = fact.data.get("pid") or 0
        return pid - PID_BASE if pid > PID_BASE else None
    for said in (fact.data.get(name) for name in ("message", "reason", "text")):
        if said and said.startswith("op ") and said[3:].isdecimal():
            return int(said[3:])
    return None


def _acknowledged(op: Op, events: list[Fact], evidence: Evidence, lives: Lives, verdict: Verdict) -> None:
    answer = op.answer
    if "seq" in answer:
        stands = lives.at.get(answer["seq"])
        told = (op.task, answer["version"], answer["status"], answer["attempt"])
        if stands is None or (stands.task, stands.version, stands.status, stands.attempt) != told:
            _say(verdict, op, "not-there", f"answered {told} at {answer['seq']}, where {stands} stands")
            return
        if events and events[0].seq > answer["seq"]:
            _say(verdict, op, "own-write", f"its event {events[0].seq} is later than the answer's")
        if not events and not _explained(op, stands, lives):
            _say(verdict, op, "lost", f"acknowledged at {answer['seq']}, but nothing of it stands")
    elif op.asked.get("by") == "nats":
        if not events and evidence.settled and not _applied(op, evidence, lives):
            _say(verdict, op, "lost", "kept by NATS, but it neither stands nor is it a dead letter")
    elif not events and not _explained(op, lives.tasks.get(op.task), lives):
        _say(verdict, op, "lost", "acknowledged, but nothing of it stands")


def _explained(op: Op, stands: Life | None, lives: Lives) -> bool:
    """Whether there was nothing (more) to record, or the event cannot carry a number."""
    if stands is None or op.do in ("create", "ask", "answer"):
        return False
    if op.do == "dispatch":
        return (op.task, op.answer.get("attempt")) in lives.claims
    if op.do == "cancel":
        return stands.status == "canceled" or (
            stands.cancel_requested and (not stands.ended or stands.spec.get("retry") is not None)
        )
    if op.do == "release":  # whether anything was released is asked apart
        return True
    status, attempt = op.asked["status"], op.asked.get("attempt") or stands.attempt
    if (op.task, attempt) not in lives.claims or stands.attempt != attempt:
        return False
    if status in ENDS:
        return stands.status == status
    return stands.ended or RANK[stands.status] >= RANK[status]


def _applied(op: Op, evidence: Evidence, lives: Lives) -> bool:
    """Whether a report over NATS without an event of its own came to something else that is right."""
    key, status = (op.task, op.asked.get("attempt")), op.asked["status"]
    if (*key, status) in evidence.dead:
        return True
    end = lives.ends.get(key)
    if status in ENDS:
        return end is not None and end.name == status
    return key in lives.claims and (status == "queued" or key in lives.ran)


def _each_its_own_attempt(evidence: Evidence, verdict: Verdict) -> None:
    """`dispatched` names nobody, but begins an attempt: two that were acknowledged begin two."""
    begun: dict[tuple[str, int | None], Op] = {}
    for op in evidence.ops.values():
        if op.do != "dispatch" or op.verdict != "ok":
            continue
        key = (op.task, op.answer.get("attempt"))
        other = begun.setdefault(key, op)
        if other is not op:
            _say(verdict, op, "lost", f"acknowledged as attempt {key[1]}, as op {other.number} was")


def _count(evidence: Evidence, counted: Counter[tuple[str, str]], verdict: Verdict) -> None:
    """`dispatched` and `queued`: no more events than operations that may have led to them.

    `queued` is also recorded for Towpath's own runners: there only a refused one can be said to stand.
    """
    may: Counter[tuple[str, str]] = Counter()
    refused: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for op in evidence.ops.values():
        name = BY_NAME.get(op.asked.get("status", op.do) if op.do == "report" else op.do)
        if op.do == "create" and op.asked.get("dispatch"):
            name = "dispatched"
        if name is not None and op.verdict == "fail":
            refused[op.task, name].append(op.number)
        elif name is not None:
            may[op.task, name] += 2 if op.replayed and op.do == "dispatch" else 1
    for key, times in counted.items():
        judged = may[key] or refused[key] if key[1] == "dispatched" else may[key] and refused[key]
        if times <= may[key] or not judged:  # a history need not know of every client
            continue
        rule = "refused-stands" if refused[key] else "twice"
        verdict.add(
            1,
            rule,
            f"{key[1]} of {key[0]} stands {times} times, {may[key]} may be; refused: {refused[key]}",
        )


def _say(verdict: Verdict, op: Op, rule: str, what: str) -> None:
    verdict.add(1, rule, f"op {op.number} ({op.do} {op.asked.get('status', '')} of {op.task}): {what}")
