"""A small world in which workspaces are registered, moved and removed while tasks claim them; every order.

What is real: the lock table with its judge, taken up from a snapshot before every event. What is played: any
API or dispatcher with any stale view (whatever was ever registered may be pinned, anything may be registered
or removed), attempts that end at any time, and deciders with any lag: the decision of some prefix of the log
may be appended, as long as its compare-and-set holds. With `ahead` one decider is spelled out: it folds event
by event, has one message on its way, and folds its own facts ahead of the log.

The promises: (a) no two hold the same files, by absolute path and in any workspace; (v) each event is
judged as the rule says, read plainly; (g) an attempt is granted or refused once, and refused as changed
exactly if it is void; (b) nothing is stuck at rest; (w) who folds own facts ahead judges as all others do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from domain.locks.claims import LockFact
from domain.locks.table import LockTable
from domain.log.record import Recorded
from tests.unit.domain.small_worlds.exploring import Step
from tests.unit.domain.small_worlds.small_locks import Seq, renumber

TIME = "2026-03-01T12:00:00.000000Z"
SPACES = ("one", "two")
Frozen = tuple[Any, ...]


class Task(NamedTuple):
    """What an attempt claims. `paths` are relative to the root."""

    space: int
    paths: tuple[str, ...] = ()
    on_conflict: str = "wait"


class Event(NamedTuple):
    """`what` is `registered`, `removed`, `dispatched`, `succeeded` or a lock fact."""

    what: str
    space: int
    number: int = 0
    root: str | None = None
    cause: str | None = None
    reason: str | None = None
    seen: Seq = Seq(0)
    expected: Seq = Seq(0)


class Mark(NamedTuple):
    """What the log says of an attempt: the plain reading."""

    root: str | None = None
    void: bool = False
    decided: str | None = None
    ended: bool = False
    holds: bool = False
    """It was granted before it ended, and not released."""

    @property
    def open(self) -> bool:
        return self.holds or (bool(self.root) and not (self.void or self.ended or self.decided))


class Decider(NamedTuple):
    """A decider spelled out: its table, what it has not folded, each with its verdict, and its message."""

    table: Frozen
    backlog: tuple[tuple[Event, Seq, bool], ...] = ()
    message: Event | None = None


class State(NamedTuple):
    table: Frozen
    roots: tuple[str | None, ...]
    seen: tuple[frozenset[str], ...]
    marks: tuple[Mark, ...]
    may_come: tuple[tuple[Event, ...], ...]
    registrations: int
    removals: int
    decider: Decider | None = None


class Moves:
    """Workspace `one` is registered at `/a` at first; `puts` are the registrations that may come.

    `plain`: also hold each verdict against the rule; without, only what follows from it is looked at."""

    def __init__(
        self,
        *tasks: Task,
        puts: tuple[tuple[int, str], ...] = ((0, "/b"), (1, "/a")),
        registrations: int = 2,
        removals: int = 0,
        ahead: bool = False,
        plain: bool = True,
        table_type: type[LockTable] = LockTable,
    ) -> None:
        self.tasks, self.puts, self.ahead, self.plain, self._type = tasks, puts, ahead, plain, table_type
        self._budget = (registrations, removals)
        self.fold = cache(self._fold)
        self.fold_own = cache(self._fold_own)
        self.decide = cache(self._decide)
        self.renumber = cache(renumber)

    # ------------------------------------------------------------------ the real table

    def _fold(self, table: Frozen, event: Event, seq: Seq) -> tuple[Frozen, bool]:
        real = self._type.restore(_thaw(table))
        real.fold(self._recorded(event, seq))
        return _freeze(real.snapshot()), real.judged is not None

    def _fold_own(self, table: Frozen, event: Event, seq: Seq) -> Frozen:
        real = self._type.restore(_thaw(table))
        real.fold_own(self._recorded(event, seq))
        return _freeze(real.snapshot())

    def _decide(self, table: Frozen, space: int) -> Event | None:
        fact = self._type.restore(_thaw(table)).decide(SPACES[space])
        return None if fact is None else self._event(fact, space)

    @staticmethod
    def _event(fact: LockFact, space: int) -> Event:
        data = fact.data.model_dump()
        cause, reason = data.get("cause"), data.get("reason")
        seen, expected = Seq(data["seen_seq"]), Seq(fact.expected_seq)
        return Event(fact.event, space, int(data["task_id"]), data.get("root"), cause, reason, seen, expected)

    def _recorded(self, event: Event, seq: Seq) -> Recorded:
        task, space = self.tasks[event.number], SPACES[event.space]
        data: dict[str, Any] = {"attempt": 1, "by": "x", "root": event.root, "seen_seq": event.seen}
        data |= {"task_id": str(event.number), "paths": list(task.paths), "mode": "exclusive"}
        data |= {"workspace": space, "lock_paths": list(task.paths), "lock_mode": "exclusive"}
        data |= {"on_conflict": task.on_conflict, "on_runner_lost": "fail"}
        if event.what in ("registered", "removed"):
            return Recorded(seq, "workspace", space, event.what, "id", 1, None, TIME, "x", "", data)
        if event.what in ("dispatched", "succeeded"):
            return Recorded(seq, "task", str(event.number), event.what, "id", 1, 1, TIME, "x", "", data)
        return Recorded(seq, "lock", space, event.what, "id", 1, 1, TIME, "x", "", data)

    # ------------------------------------------------------------------ the world

    def start(self) -> State:
        empty = _freeze(self._type().snapshot())
        none: tuple[tuple[Event, ...], ...] = ((),) * len(SPACES)
        state = State(
            empty, (None,) * 2, (frozenset(),) * 2, (Mark(),) * len(self.tasks), none, *self._budget,
            Decider(empty) if self.ahead else None,
        )  # fmt: skip
        state, _ = self._happen(state, Event("registered", 0, root="/a"))
        if state.decider is not None:
            state = state._replace(decider=Decider(state.table))
        return state

    def steps(self, state: State) -> Iterator[Step]:
        for label, following, due, broken in self._moves(state):
            yield Step(label, self.renumber(following), due, broken)

    def _moves(self, state: State) -> Iterator[tuple[str, State, bool, tuple[str, ...]]]:
        for event in self._clients(state):
            fewer = state._replace(
                registrations=state.registrations - (event.what == "registered"),
                removals=state.removals - (event.what == "removed"),
            )
            ends = event.what == "succeeded"
            refused = ends and state.marks[event.number].decided == "refused"
            following, broken = self._happen(fewer, event)
            yield _label(event), following, refused, broken
        for space in range(len(SPACES)):
            now = self.decide(state.table, space)
            for event in state.may_come[space]:
                following, broken = self._happen(state, event)
                due = now is not None and event._replace(seen=now.seen) == now
                yield _label(event), following, due, broken
        if state.decider is not None:
            yield from self._spelled_out(state, state.decider)

    def _clients(self, state: State) -> Iterator[Event]:
        if state.registrations:
            yield from (Event("registered", space, root=root) for space, root in self.puts)
        for space in range(len(SPACES)):
            if state.removals and state.roots[space]:
                yield Event("removed", space)
        for number, (task, mark) in enumerate(zip(self.tasks, state.marks, strict=True)):
            if mark.root is None:
                for root in sorted(state.seen[task.space]):
                    yield Event("dispatched", task.space, number, root)
            elif not mark.ended:
                yield Event("succeeded", task.space, number)

    def _happen(self, state: State, event: Event) -> tuple[State, tuple[str, ...]]:
        """The state after `event` stands in the log, and what it breaks."""
        seq = Seq(_seq(state.table) + 1)
        table, void = self.fold(state.table, event, seq)
        broken = tuple(self._breaks(state, event, void))
        following = self._read(state, event, void)._replace(table=table)
        may_come = list(following.may_come)
        for space in range(len(SPACES)):
            fact = self.decide(table, space)
            if event.what in ("granted", "refused", "released") and event.space == space:
                may_come[space] = ()
            if fact is not None and fact not in may_come[space]:
                may_come[space] = tuple(sorted((*may_come[space], fact), key=str))
        following = following._replace(may_come=tuple(may_come))
        if state.decider is not None:
            entry = (event, seq, void)
            decider = state.decider._replace(backlog=(*state.decider.backlog, entry))
            following = following._replace(decider=decider)
        return following, broken

    def _read(self, state: State, event: Event, void: bool) -> State:
        """The plain reading of `event`, with the verdict that was given."""
        space, number = event.space, event.number
        if event.what == "registered":
            assert event.root is not None
            seen = _put(state.seen, space, state.seen[space] | {event.root})
            roots = state.roots if void else _put(state.roots, space, event.root)
            return state._replace(seen=seen, roots=roots)
        if event.what == "removed":
            return state if void else state._replace(roots=_put(state.roots, space, None))
        mark = state.marks[number]
        if event.what == "dispatched":
            mark = Mark(event.root, void)
        elif event.what == "succeeded":
            mark = mark._replace(ended=True)
        elif event.what == "released":
            mark = mark._replace(holds=False)
        else:
            mark = mark._replace(decided=event.what, holds=event.what == "granted" and not mark.ended)
        return state._replace(marks=_put(state.marks, number, mark))

    # ------------------------------------------------------------------ the promises

    def _breaks(self, state: State, event: Event, void: bool) -> Iterator[str]:
        if self.plain and void != self._rule(state, event):
            yield f"v: {event.what} is judged {'void' if void else 'valid'}, but the rule says otherwise"
        if event.what not in ("granted", "refused"):
            return
        mark = state.marks[event.number]
        if mark.decided:
            yield f"g: {event.what} after {mark.decided}"
        if event.what == "refused" and (event.reason == "workspace-changed") != mark.void:
            yield f"g: refused as {event.reason}"
        if event.what == "granted" and mark.void:
            yield "g: granted though void"
        if event.what == "granted" and not mark.ended:
            for other, held in enumerate(state.marks):
                if held.holds and self._same_files(event.number, mark, other, held):
                    yield "a: two hold the same files"

    def _rule(self, state: State, event: Event) -> bool:
        """Whether the rule calls `event` void, by what the log says so far."""
        root, now = event.root, state.roots[event.space]
        if event.what == "dispatched":
            return root != now
        if event.what not in ("registered", "removed"):
            return False
        in_use = any(
            mark.open for mark, task in zip(state.marks, self.tasks, strict=True) if task.space == event.space
        )
        other = state.roots[1 - event.space]
        taken = root is not None and other is not None and _overlap(root, other)
        return taken or (in_use and root != now)

    def _same_files(self, number: int, mark: Mark, other: int, held: Mark) -> bool:
        ours, theirs = (
            [f"{root}/{path}" for path in self.tasks[task].paths] or [root]
            for task, root in ((number, str(mark.root)), (other, str(held.root)))
        )
        return any(_overlap(one, two) for one in ours for two in theirs)

    def at_rest(self, state: State) -> Iterator[str]:
        ahead: list[int] = []
        for number, mark in enumerate(state.marks):
            if mark.void and not mark.ended and not mark.decided:
                yield "b: void and never refused"
            if mark.holds and mark.ended:
                yield "b: a release stays owed"
            if mark.holds:
                ahead.append(number)
        for number, mark in enumerate(state.marks):
            if mark.open and not mark.holds:
                space = self.tasks[number].space
                if not any(self.tasks[other].space == space for other in ahead):
                    yield "b: waits though nothing is in its way"

    # ------------------------------------------------------------------ one decider, spelled out

    def _spelled_out(
        self, state: State, decider: Decider
    ) -> Iterator[tuple[str, State, bool, tuple[str, ...]]]:
        if decider.message is not None:
            event, idle = decider.message, decider._replace(message=None)
            if event.expected != _last(state.table, event.space):
                yield "its message loses", state._replace(decider=idle), True, ()
                return
            seq = Seq(_seq(state.table) + 1)
            following, broken = self._happen(state._replace(decider=idle), event)
            assert following.decider is not None
            own = self.fold_own(decider.table, event, seq)
            yield (
                f"its {_label(event)}",
                following._replace(decider=following.decider._replace(table=own)),
                True,
                broken,
            )
            return
        if decider.backlog:
            (event, seq, verdict), *rest = decider.backlog
            table, void = self.fold(decider.table, event, seq)
            wrong = ()
            if void != verdict:
                wrong = (f"w: {event.what} is judged otherwise by who folds its own facts ahead",)
            elif not rest and table != state.table:
                wrong = ("w: who folds its own facts ahead comes to another table",)
            yield "it folds", state._replace(decider=Decider(table, tuple(rest))), True, wrong
        for space in range(len(SPACES)):
            fact = self.decide(decider.table, space)
            if fact is not None:
                yield "it decides", state._replace(decider=decider._replace(message=fact)), True, ()


# ---------------------------------------------------------------------- plain data as tuples


def _freeze(value: Any, name: str = "") -> Any:
    """A snapshot as tuples. Sequences are `Seq`; what no decision depends on is left out."""
    if isinstance(value, dict):
        return ("dict", *((key, _freeze(one, key)) for key, one in value.items()))
    if name == "owed" and value is not None:
        return ("list", value[0], Seq(value[1]), value[2])
    if name == "last":
        return ("list", Seq(value[0]), 0, "")
    if isinstance(value, list):
        return ("list", *(_freeze(one) for one in value))
    if name in ("seq", "token"):
        return Seq(value)
    return 0 if name == "version" else value


def _thaw(value: Any) -> Any:
    if isinstance(value, tuple) and value[0] == "dict":
        return {key: _thaw(one) for key, one in value[1:]}
    if isinstance(value, tuple):
        return [_thaw(one) for one in value[1:]]
    return int(value) if isinstance(value, Seq) else value


def _seq(table: Frozen) -> int:
    return int(dict(table[1:])["seq"])


def _last(table: Frozen, space: int) -> int:
    found = dict(dict(table[1:])["workspaces"][1:]).get(SPACES[space])
    return 0 if found is None else int(dict(found[1:])["last"][1])


def _put(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*items[:place], item, *items[place + 1 :])


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _label(event: Event) -> str:
    about = SPACES[event.space] if event.what in ("registered", "removed") else str(event.number)
    return " ".join(filter(None, (event.what, about, event.root)))
