"""Real lock tables as immutable states, and the deciders that a small world can have.

A lock append succeeds only for a decider that had folded the last lock fact. So any number of projectors
with any lag amount to this: the decision of some prefix of what came since may be appended now (`AnyLag`;
with `ahead`, a decider may also have folded its own last fact before what stands in front of it). The
same with every projector, message and lost race spelled out is `TwoProjectors`.

Sequences are `Seq`, so that a state can be renumbered: two states that differ only in how long their
history is are the same state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from domain.locks.claims import FIRST_CHAIN
from domain.locks.table import LockTable
from domain.log.events import CreatedData
from domain.log.record import Recorded
from tests.unit.domain.aggregates import ROOT, SPACE

TIME = "2026-03-01T12:00:00.000000Z"
REGISTERED = [{"id": SPACE, "root": ROOT, "on_runner_lost": "fail", "seq": 0, "version": 0}]


class Seq(int):
    """A stream sequence."""


class Said(NamedTuple):
    """An event of a task."""

    seq: Seq
    name: str
    number: int
    attempt: int
    token: Seq | None = None


class Fact(NamedTuple):
    """A lock fact; `expected` is what its append must find, `cause` that of a release."""

    name: str
    number: int
    attempt: int
    cause: str | None
    seen: Seq
    expected: Seq
    seq: Seq = Seq(0)


class Table(NamedTuple):
    """A lock table's state. Waiting: (number, attempt, seq); held: also (cause, seq) where owed.

    `open` is what its judge knows: (number, attempt, granted). The workspace never moves in these worlds.
    """

    seq: Seq
    last: Seq
    waiting: tuple[tuple[int, int, Seq], ...] = ()
    held: tuple[tuple[int, int, Seq, tuple[str, Seq] | None], ...] = ()
    ended: tuple[tuple[int, int, str, Seq], ...] = ()
    open: tuple[tuple[int, int, bool], ...] = ()


class View(NamedTuple):
    """A decider's table and what it has not folded yet."""

    table: Table
    backlog: tuple[Said | Fact, ...]


class Tables:
    """Folds and decides with real tables, remembering each result."""

    def __init__(self, specs: Sequence[CreatedData], table_type: type[LockTable] = LockTable) -> None:
        self._specs = specs
        self._type = table_type
        self.fold = cache(self._fold)
        self.fold_own = cache(self._fold_own)
        self.decide = cache(self._decide)

    def _fold(self, state: Table, event: Said | Fact) -> Table:
        table = self._thaw(state)
        table.fold(self._recorded(event))
        return self._freeze(table)

    def _fold_own(self, state: Table, fact: Fact) -> Table:
        table = self._thaw(state)
        table.fold_own(self._recorded(fact))
        return self._freeze(table)

    def _decide(self, state: Table) -> Fact | None:
        fact = self._thaw(state).decide(SPACE)
        if fact is None:
            return None
        given: Any = fact.data
        cause = given.cause if fact.event == "released" else None
        return Fact(
            fact.event,
            int(given.task_id[1:]),
            given.attempt,
            cause,
            Seq(given.seen_seq),
            Seq(fact.expected_seq),
        )

    def fold_all(self, view: View) -> Table:
        table = view.table
        for event in view.backlog:
            table = self.fold(table, event)
        return table

    def _claim(self, number: int, attempt: int, seq: int) -> dict[str, Any]:
        spec = self._specs[number]
        return {
            "task_id": f"t{number}",
            "attempt": attempt,
            "workspace": SPACE,
            "root": ROOT,
            "paths": spec.lock_paths,
            "mode": spec.lock_mode,
            "on_conflict": spec.on_conflict,
            "seq": seq,
            "since": TIME,
        }

    def _thaw(self, state: Table) -> LockTable:
        held = [
            {
                "claim": self._claim(number, attempt, 0),
                "token": token,
                "since": TIME,
                "owed": [*owed, "x"] if owed else None,
                "bound": [None, None, None],
            }
            for number, attempt, token, owed in state.held
        ]
        ended = [
            {"claim": self._claim(number, attempt, 0), "owed": [cause, seq, "x"], "void": None}
            for number, attempt, cause, seq in state.ended
        ]
        waiting = [self._claim(*one) for one in state.waiting]
        locks = {"waiting": waiting, "holders": held, "void": [], "ended": ended}
        locks["last"] = [state.last, 0, FIRST_CHAIN]
        claims = [[f"t{number}", attempt, granted] for number, attempt, granted in state.open]
        judge = {"registrations": REGISTERED, "void": [], "open": {SPACE: claims} if claims else {}}
        return self._type.restore({"seq": state.seq, "judge": judge, "workspaces": {SPACE: locks}})

    @staticmethod
    def _freeze(table: LockTable) -> Table:
        stored = table.snapshot()
        locks = stored["workspaces"][SPACE]
        assert locks["void"] == []

        def key(claim: dict[str, Any]) -> tuple[int, int]:
            return int(claim["task_id"][1:]), claim["attempt"]

        return Table(
            Seq(stored["seq"]),
            Seq(locks["last"][0]),
            tuple((*key(claim), Seq(claim["seq"])) for claim in locks["waiting"]),
            tuple(
                (
                    *key(one["claim"]),
                    Seq(one["token"]),
                    (one["owed"][0], Seq(one["owed"][1])) if one["owed"] else None,
                )
                for one in locks["holders"]
            ),
            tuple((*key(one["claim"]), one["owed"][0], Seq(one["owed"][1])) for one in locks["ended"]),
            tuple(
                (int(task_id[1:]), attempt, granted)
                for task_id, attempt, granted in stored["judge"]["open"].get(SPACE, ())
            ),
        )

    def _recorded(self, event: Said | Fact) -> Recorded:
        spec = self._specs[event.number]
        claim = {"workspace": SPACE, "root": ROOT, "lock_paths": spec.lock_paths}
        claim |= {"lock_mode": spec.lock_mode, "on_conflict": spec.on_conflict}
        task_id = f"t{event.number}"
        if isinstance(event, Fact):
            data = {"task_id": task_id, "root": ROOT, "paths": spec.lock_paths, "mode": spec.lock_mode}
            data |= {"seen_seq": event.seen, "attempt": event.attempt}
            subject = ("lock", SPACE)
        else:
            data = {"attempt": event.attempt, "token": event.token, "by": "x"}
            data |= claim if event.name == "dispatched" else {}
            subject = ("task", task_id)
        return Recorded(event.seq, *subject, event.name, "id", 1, event.attempt, TIME, "x", FIRST_CHAIN, data)


class Decided(NamedTuple):
    """A decider's step: what it appended, if anything, and the state after it."""

    label: str
    state: Any
    fact: Fact | None
    due: bool


class AnyLag:
    """The state is a tuple of views; the first has folded everything up to the last lock fact in order."""

    def __init__(self, tables: Tables, *, ahead: bool = False) -> None:
        self._tables = tables
        self._ahead = ahead

    def start(self) -> tuple[View, ...]:
        return (View(Table(Seq(0), Seq(0)), ()),)

    def truth(self, state: tuple[View, ...]) -> Table:
        return self._tables.fold_all(state[0])

    def append(self, state: tuple[View, ...], said: Said) -> tuple[View, ...]:
        return tuple(View(view.table, (*view.backlog, said)) for view in state)

    def steps(self, state: tuple[View, ...]) -> Iterator[Decided]:
        truth = self.truth(state)
        seen: set[Fact] = set()
        for view in state:
            table = view.table
            for folded in range(len(view.backlog) + 1):
                if folded:
                    table = self._tables.fold(table, view.backlog[folded - 1])
                fact = self._tables.decide(table)
                if fact is None or fact.expected != truth.last or (not self._ahead and fact in seen):
                    continue
                seen.add(fact)
                fact = fact._replace(seq=Seq(truth.seq + 1))
                following = (View(self._tables.fold(truth, fact), ()),)
                rest = view.backlog[folded:]
                if self._ahead and rest:
                    following += (View(self._tables.fold_own(table, fact), (*rest, fact)),)
                yield Decided(
                    f"{fact.name} {fact.number}.{fact.attempt}, {len(rest)} unseen", following, fact, not rest
                )

    def tidy(self, state: tuple[View, ...]) -> tuple[View, ...]:
        return state

    def differs(self, state: tuple[View, ...]) -> bool:
        """Whether a table that folded its own facts ahead comes out different from the others."""
        return len({self._tables.fold_all(view) for view in state}) > 1


class Projector(NamedTuple):
    view: View
    message: Fact | None


class Explicit(NamedTuple):
    truth: Table
    projectors: tuple[Projector, ...]
    strays: tuple[Fact, ...]
    crashes: int


class TwoProjectors:
    """Two projectors, each at its own pace and with one message on its way; a crash leaves it stray."""

    def __init__(self, tables: Tables, *, crashes: int = 0, compare: bool = True) -> None:
        self._tables = tables
        self._crashes = crashes
        self._compare = compare

    def start(self) -> Explicit:
        empty = Projector(View(Table(Seq(0), Seq(0)), ()), None)
        return Explicit(empty.view.table, (empty, empty), (), self._crashes)

    def truth(self, state: Explicit) -> Table:
        return state.truth

    def append(self, state: Explicit, event: Said | Fact) -> Explicit:
        projectors = tuple(
            Projector(View(one.view.table, (*one.view.backlog, event)), one.message)
            for one in state.projectors
        )
        return state._replace(truth=self._tables.fold(state.truth, event), projectors=projectors)

    def steps(self, state: Explicit) -> Iterator[Decided]:
        for number, one in enumerate(state.projectors):
            if one.view.backlog:
                table = self._tables.fold(one.view.table, one.view.backlog[0])
                moved = one._replace(view=View(table, one.view.backlog[1:]))
                yield Decided(f"projector {number} folds", self._put(state, number, moved), None, True)
            if one.message is None:
                fact = self._tables.decide(one.view.table)
                if fact is not None:
                    decided = self._put(state, number, one._replace(message=fact))
                    yield Decided(
                        f"projector {number} decides {fact.name} {fact.number}", decided, None, True
                    )
                continue
            idle = self._put(state, number, one._replace(message=None))
            yield self._land(idle, one.message, number)
            if state.crashes:
                crashed = idle._replace(strays=(*state.strays, one.message), crashes=state.crashes - 1)
                yield Decided(f"projector {number} crashes", crashed, None, False)
        for place, stray in enumerate(state.strays):
            rest = state.strays[:place] + state.strays[place + 1 :]
            yield self._land(state._replace(strays=rest), stray, None)

    def _land(self, state: Explicit, fact: Fact, number: int | None) -> Decided:
        if self._compare and fact.expected != state.truth.last:
            return Decided(f"{fact.name} {fact.number}.{fact.attempt} loses", state, None, True)
        fact = fact._replace(seq=Seq(state.truth.seq + 1))
        landed = self.append(state, fact)
        if number is not None:
            one = landed.projectors[number]
            own = View(self._tables.fold_own(one.view.table, fact), one.view.backlog)
            landed = self._put(landed, number, one._replace(view=own))
        return Decided(f"{fact.name} {fact.number}.{fact.attempt} by {number}", landed, fact, True)

    @staticmethod
    def _put(state: Explicit, number: int, one: Projector) -> Explicit:
        projectors = (one, state.projectors[1]) if number == 0 else (state.projectors[0], one)
        return state._replace(projectors=projectors)

    def tidy(self, state: Explicit) -> Explicit:
        """The projectors are interchangeable, and so are stray messages."""
        return state._replace(
            projectors=tuple(sorted(state.projectors, key=hash)), strays=tuple(sorted(state.strays, key=hash))
        )

    def differs(self, state: Explicit) -> bool:
        return any(self._tables.fold_all(one.view) != state.truth for one in state.projectors)


def renumber(state: Any) -> Any:
    """The same state with its sequences replaced by 0, 1, 2, … in their order."""
    found: set[int] = {0}
    _collect(state, found)
    return _replace(state, {old: Seq(new) for new, old in enumerate(sorted(found))})


def _collect(part: Any, found: set[int]) -> None:
    if type(part) is Seq:
        found.add(part)
    elif isinstance(part, tuple):
        for one in part:
            _collect(one, found)


def _replace(part: Any, numbers: dict[int, Seq]) -> Any:
    if type(part) is Seq:
        return numbers[part]
    if not isinstance(part, tuple):
        return part
    inner = [_replace(one, numbers) for one in part]
    return type(part)(inner) if type(part) is tuple else type(part)(*inner)
