"""Auditor: checks stored messages in order for form, sequence, chain, transitions and lock intervals.

It records a fault, accepts the stored value as it is, and continues, so each later fault is independent.
Memory holds open tasks, one chain end per workspace, and a bounded part of the ended tasks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from adapters.event_store.reading.raw_reader import StoredBytes
from adapters.read_model.writing.claim_rows import change_claim, lock_changes, task_changes
from adapters.read_model.writing.rows import LOCK_FACTS, TASK_FACTS, created_row, leave_queue
from domain.errors import Invalid
from domain.evidence.held_paths import HeldPaths
from domain.evidence.history_rules import (
    MAX_CLOCK_SECONDS,
    hold_fault,
    lock_fault,
    seconds_early,
    task_fault,
)
from domain.evidence.merkle import Tree
from domain.evidence.task_trace import TaskTrace
from domain.locks.claims import FIRST_CHAIN
from domain.locks.judging import CHANGING
from domain.locks.table import LockTable
from domain.log.payloads import (
    DispatchedPayload,
    GrantedPayload,
    LockPayload,
    PlacePayload,
    RefusedPayload,
    RegisteredPayload,
)
from domain.log.record import Recorded
from domain.task.transitions import TERMINAL, Status
from domain.workspaces.paths import normalise_lock_paths, normalise_root
from infra.audit.findings import VerifyReport
from infra.audit.message import BadForm, Parsed, leaf_of, parse
from infra.audit.task_states import AuditedState, TaskStates

_ENDS = frozenset(status.value for status in TERMINAL)


@dataclass(slots=True)
class _Line:
    """The chain end of a workspace's lock events or registrations."""

    version: int = 0
    chain: str = FIRST_CHAIN
    last_seq: int = 0


class Auditor:
    """Checks the log's messages in order. `with_rows`: also compute the read model's rows."""

    def __init__(self, report: VerifyReport, states: TaskStates, *, with_rows: bool) -> None:
        self._report = report
        self._states = states
        self._with_rows = with_rows
        self._lines: dict[tuple[str, str], _Line] = {}
        self._table = LockTable()
        self._held = HeldPaths()
        self._registered: dict[str, dict[int, RegisteredPayload]] = {}
        self._void: Counter[str] = Counter()
        self._first_void = 0
        self._early = self._first_early = 0
        self.tree = Tree()
        self.seq = 0
        self.event_id: str | None = None
        """The id of the event at `seq`, if that is one."""

    def take(self, stored: StoredBytes) -> bytes:
        """Check the next message and return its leaf hash. Raises TooMany (from the report)."""
        seq = stored.seq
        if seq != self.seq + 1:
            self._missing(seq)
        self.seq = seq
        leaf, lines = leaf_of(stored)
        self.tree.append(leaf)
        self.event_id = None
        try:
            parsed = parse(stored, leaf, lines)
            self.event_id = parsed.event.id
            self._check(parsed)
        except BadForm as error:
            self._report.add(seq, "form", f"what stands at sequence {seq} is damaged: {error}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._report.add(seq, "form", f"the data at sequence {seq} does not fit its type: {error!r}")
        return leaf

    def end(self, last: int) -> None:
        """Check that the log ends at `last`."""
        if self.seq != last:
            self._missing(last + 1)
        if self._void:
            counted = ", ".join(f"{count} {event}" for event, count in sorted(self._void.items()))
            self._report.notes.append(
                f"void, since something else came first: {counted} (the first at sequence "
                f"{self._first_void}); such events change nothing"
            )
        if self._early:
            self._report.notes.append(
                f"retries begun before their pause was over, by the recorded times: {self._early} (the "
                f"first at sequence {self._first_early}); either clocks differed, or a time was changed"
            )

    def _missing(self, found: int) -> None:
        gone = self.seq + 1
        which = f"sequence {gone} is" if found == gone + 1 else f"sequences {gone} to {found - 1} are"
        self._report.add(gone, "sequence", f"{which} missing from the log")

    def _check(self, parsed: Parsed) -> None:
        event = parsed.event
        if event.kind == "task":
            self._task(parsed, event)
        else:
            key = (event.kind, event.subject_id)
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = _Line()
            if event.kind == "lock":
                fault = lock_fault(self._table, event) or self._shared_files(event)
                if fault is not None:
                    self._report.add(
                        event.seq, "lock", f"lock {event.event} at sequence {event.seq}: {fault}"
                    )
            self._link(parsed, line)
            if event.kind == "lock":
                self._lock(event)
        if event.event in ("registered", "dispatched") and not _is_normal(event):
            self._report.add(
                event.seq,
                "transition",
                f"{event.event} at sequence {event.seq}: its root or a lock path is not in normal form, so "
                "it may name files that another claim holds",
            )
        self._table.fold(event)
        if event.event in CHANGING:
            self._judged(event)

    def _shared_files(self, event: Recorded) -> str | None:
        """The fault of a grant that overlaps others by absolute path, across workspaces; else None."""
        if event.event != "granted":
            return None
        granted: GrantedPayload = event.data
        claim = self._table.claim(event.subject_id, granted["task_id"], granted["attempt"])
        if claim is None or not self._table.judge.is_open(claim.key):
            return None
        return self._held.fault(claim)

    def _judged(self, event: Recorded) -> None:
        """Update held paths, registrations and void grants for the event that was just folded."""
        if event.kind == "lock":
            self._held.follow(event, self._table)
        elif event.event == "registered":
            registered: RegisteredPayload = event.data
            self._registered.setdefault(event.subject_id, {})[event.seq] = registered
        if self._table.judged is not None:
            self._void[event.event] += 1
            self._first_void = self._first_void or event.seq
            if event.event == "dispatched" and (state := self._states.get(event.subject_id)) and state.row:
                leave_queue(state.row)

    def _link(self, parsed: Parsed, line: _Line | AuditedState) -> None:
        """Check version and chain against `line`, then advance `line`."""
        event = parsed.event
        if event.version != line.version + 1:
            self._report.add(
                event.seq,
                "chain",
                f"{event.kind} {event.subject_id} has version {event.version} at sequence {event.seq}, "
                f"after version {line.version} at {line.last_seq}",
            )
        elif parsed.link(line.chain) != event.chain:
            before = f" or the one before it, at {line.last_seq}," if line.last_seq else ""
            self._report.add(
                event.seq,
                "chain",
                f"the event at sequence {event.seq}{before} was changed: its ce-chain does not follow",
            )
        line.version, line.chain, line.last_seq = event.version, event.chain, event.seq

    def _task(self, parsed: Parsed, event: Recorded) -> None:
        state = self._states.get(event.subject_id)
        name = event.event
        if state is None or name == "created":
            self._begin(parsed, event, state)
            return
        fault = task_fault(state.trace, event, self._table)
        if fault is not None:
            self._report.add(event.seq, "transition", f"{name} at sequence {event.seq}: {fault}")
            if state.trace.status is Status.SUCCEEDED:
                return
        if name == "dispatched":
            self._check_registration(state.trace, event)
            if seconds_early(state.trace, event) > MAX_CLOCK_SECONDS:
                self._early += 1
                self._first_early = self._first_early or event.seq
        self._link(parsed, state)
        state.trace.follow(event)
        if self._with_rows and state.row:
            _fold_row(state, event)
        if name in _ENDS:
            self._states.ended(event.subject_id)
        elif name == "dispatched":
            self._states.reopened(event.subject_id)

    def _begin(self, parsed: Parsed, event: Recorded, state: AuditedState | None) -> None:
        """Take up a task by its first event, unless it has a `state`, or begins with another event."""
        if state is not None or event.event != "created":
            words = "is created twice" if state else f"begins with {event.event}"
            self._report.add(
                event.seq, "transition", f"task {event.subject_id} {words} at sequence {event.seq}"
            )
            return
        state = AuditedState(0, FIRST_CHAIN, 0, TaskTrace.of(event))
        self._link(parsed, state)
        if self._with_rows:
            state.row = created_row(event)
            state.row["seq"], state.row["version"] = event.seq, event.version
        self._states.add(event.subject_id, state)

    def _check_registration(self, trace: TaskTrace, event: Recorded) -> None:
        dispatched: DispatchedPayload = event.data
        workspace, root, seq = dispatched["workspace"], dispatched["root"], dispatched["registration_seq"]
        if workspace is None:
            return
        known = self._registered.get(workspace, {})
        pinned = known.get(seq or 0)
        if all(one["root"] != root for one in known.values()):
            fault = f"workspace {workspace} was never registered at {root}"
        elif pinned is None or pinned["root"] != root:
            fault = f"workspace {workspace} was not registered at {root} by the event at sequence {seq}"
        else:
            fault = hold_fault(trace, dispatched, pinned["on_runner_lost"]) or ""
        if fault:
            self._report.add(event.seq, "transition", f"dispatched at sequence {event.seq}: {fault}")

    def _lock(self, event: Recorded) -> None:
        fact: LockPayload = event.data
        name, attempt = event.event, fact["attempt"]
        state = self._states.get(fact["task_id"])
        if state is None:
            return
        change_claim(state.grants.setdefault(attempt, {}), lock_changes(event))
        state.last_seq = event.seq
        if name == "refused" and attempt == state.trace.attempt:
            refused: RefusedPayload = event.data
            state.trace.refused = refused["reason"]
        if self._with_rows and state.row and state.row["attempt"] == attempt:
            LOCK_FACTS[name](state.row, event)


def _fold_row(state: AuditedState, event: Recorded) -> None:
    """Fold an event of a task into the rows that the read model must have of it."""
    row = state.row
    before = row["lock_state"]
    TASK_FACTS[event.event](row, event)
    row["seq"], row["version"] = event.seq, event.version
    changes = task_changes(event, before, row["lock_state"])
    if changes is not None:
        change_claim(state.grants.setdefault(row["attempt"], {}), changes)


def _is_normal(event: Recorded) -> bool:
    """Whether root and lock paths are written as the control plane writes them; it compares them as text."""
    place: PlacePayload = event.data
    root, paths = place["root"], place.get("lock_paths", [])
    try:
        return root is None or (normalise_root(root) == root and normalise_lock_paths(paths, root) == paths)
    except Invalid:
        return False
