"""A whole Towpath in the small: tasks, deciders, dispatchers and runners, every step in every order.

What is real here: the task aggregate, the lock table, and the dispatcher's rule to read the task again.
What is played: clients, the network (reports are repeated, reordered, late, their answers lost;
submissions are sent twice, lost, late) and runners that keep the start gate.

The promises, by letter: (a) no two conflicting holders, fifo; (b) nothing is stuck at rest; (c) what is
about an older attempt changes nothing; (d) no process starts once its attempt has ended or its lock was
freed by hand; (e) no two conflicting processes at once, unless a lock was freed under one of them by
hand; (f) a release has a cause of its own; (g) `reject` is decided once, and refused only for a reason;
(h) no attempt runs twice at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from domain.task.transitions import Status
from tests.unit.domain.aggregates import Aggregates, Outcome
from tests.unit.domain.small_worlds.exploring import Step
from tests.unit.domain.small_worlds.small_locks import AnyLag, Fact, Said, Seq, Table, TwoProjectors, renumber
from tests.unit.domain.small_worlds.small_state import Attempt, Held, Mark, Phase, Sends, Setting, State, put

Move = tuple[str, State, bool, tuple[str, ...]]
Moves = Iterator[Move]


class SmallWorld:
    def __init__(self, setting: Setting, locks: AnyLag | TwoProjectors) -> None:
        self.setting = setting
        self.aggregates = Aggregates(setting.specs)
        self.locks = locks
        self.renumber = cache(renumber)
        self.known: list[Attempt] = [
            (number, attempt + 1) for number, most in enumerate(setting.attempts) for attempt in range(most)
        ]
        self.index = {attempt: place for place, attempt in enumerate(self.known)}

    # ------------------------------------------------------------------ states

    def start(self) -> State:
        none = (Held(),) * len(self.known)
        size, given = len(self.known), self.setting
        return State(
            self.aggregates.start(),
            self.locks.start(),
            (Mark(),) * size,
            (Sends(),) * size,
            () if given.ends else (none,) * given.runners,
            None,
            given.cancels,
            given.hands,
            given.resends,
            given.deaths,
        )

    def locked(self, number: int) -> bool:
        return self.setting.specs[number].workspace is not None

    def ready(self, state: State, place: int) -> bool:
        """Whether a dispatcher has an event that makes it look at this attempt."""
        attempt = self.known[place]
        if self.locked(attempt[0]):
            return state.marks[place].decided == "granted"
        return state.tasks[attempt[0]].attempt >= attempt[1]

    def granted(self, state: State, number: int) -> bool:
        task = state.tasks[number]
        if not self.locked(number) or task.status is not Status.DISPATCHED:
            return True
        return any(held[:2] == (number, task.attempt) for held in self.locks.truth(state.locks).held)

    def record(self, state: State, number: int, outcome: Outcome, token: Seq | None = None) -> State:
        """The state after a task's event, if there was one, stands in the log."""
        if outcome.event is None:
            return state
        task = outcome.state
        tasks = put(state.tasks, number, task)
        locks, marks = state.locks, state.marks
        if task.attempt:
            place = self.index[number, task.attempt]
            mark = marks[place]
            if task.ended:
                mark = mark._replace(end=outcome.event)
            if outcome.event == "lock-release-requested":
                mark = mark._replace(by_hand=state.tasks[number].status.value)
            marks = put(marks, place, mark)
            if self.locked(number) and outcome.event not in ("queued", "running"):
                seq = Seq(self.locks.truth(locks).seq + 1)
                locks = self.locks.append(locks, Said(seq, outcome.event, number, task.attempt, token))
        return state._replace(tasks=tasks, locks=locks, marks=marks)

    def tidy(self, state: State) -> State:
        """Drop what can do nothing any more (`changed_by_old_news` checks that), and renumber."""
        sends, runners = state.sends, state.runners
        for place, mark in enumerate(state.marks):
            if mark.end is None:
                continue
            sends = put(sends, place, sends[place]._replace(sent=2))
            for number, held in enumerate(runners):
                if held is not None:
                    one = held[place]
                    owed = one.owed & {"running"} if one.phase == Phase.ASKING else frozenset()
                    runners = put(runners, number, put(held, place, Held(one.phase, owed)))
        locks, operator = self.renumber((self.locks.tidy(state.locks), state.operator))
        return state._replace(locks=locks, operator=operator, sends=sends, runners=runners)

    # ------------------------------------------------------------------ steps

    def steps(self, state: State) -> Iterator[Step]:
        for label, following, due, broken in self._steps(state):
            following = self.tidy(following)
            for task in following.tasks:
                broken = (*broken, *self.aggregates.changed_by_old_news(task))
            yield Step(label, following, due, tuple(broken))

    def _steps(self, state: State) -> Moves:
        yield from self._clients(state)
        yield from self._operator(state)
        for decided in self.locks.steps(state.locks):
            yield self._decided(state, *decided)
        for place, attempt in enumerate(self.known):
            if state.tasks[attempt[0]].attempt >= attempt[1]:
                yield from self._dispatcher(state, place)
                if self.setting.ends:
                    yield from self._ends(state, attempt)
                for number, held in enumerate(state.runners):
                    if held is not None:
                        yield from self._runner(state, number, place, held[place])
        yield from self._deaths(state)

    def _clients(self, state: State) -> Moves:
        for number, task in enumerate(state.tasks):
            if task.attempt < self.setting.attempts[number]:
                outcome = self.aggregates.do(task, "dispatch")
                if outcome.event:
                    yield f"dispatch {number}", self.record(state, number, outcome), False, ()
            if state.cancels and task.open:
                outcome = self.aggregates.do(task, "cancel")
                if outcome.event:
                    asked = state._replace(cancels=state.cancels - 1)
                    yield f"cancel {number}: {outcome.event}", self.record(asked, number, outcome), False, ()

    def _operator(self, state: State) -> Moves:
        if state.operator is None:
            if state.hands:
                for number, attempt, token, _ in self.locks.truth(state.locks).held:
                    if state.tasks[number].attempt == attempt:
                        asked = state._replace(operator=(number, attempt, token), hands=state.hands - 1)
                        yield f"operator reads the token of {number}.{attempt}", asked, False, ()
            return
        number, attempt, token = state.operator
        outcome = self.aggregates.do(state.tasks[number], "release", attempt, int(token))
        done = state._replace(operator=None)
        if outcome.event:
            yield f"release {number}: {outcome.event}", self.record(state, number, outcome, token), True, ()
            yield "operator's request is lost half-way", done, False, ()
        else:
            yield "operator is done", done, True, ()

    def _decided(self, state: State, label: str, locks: Any, fact: Fact | None, due: bool) -> Move:
        following = state._replace(locks=locks)
        if fact is None:
            return label, following, due, ()
        broken = tuple(self._judge(state, fact))
        if self.locks.differs(locks):
            broken += ("f: a table that folded its own facts ahead differs from the others",)
        place = self.index[fact.number, fact.attempt]
        if fact.name != "released":
            marks = put(state.marks, place, state.marks[place]._replace(decided=fact.name))
            following = following._replace(marks=marks)
        return label, following, due, broken

    def _judge(self, state: State, fact: Fact) -> Iterator[str]:
        """What this fact breaks, by its position in the log."""
        truth: Table = self.locks.truth(state.locks)
        key = (fact.number, fact.attempt)
        mark = state.marks[self.index[key]]
        waits = any(waiting[:2] == key for waiting in truth.waiting)
        in_the_way = [held for held in truth.held if self.setting.conflict(key, held[:2])]
        earlier = []
        for waiting in truth.waiting:
            if waiting[:2] == key:
                break
            if self.setting.conflict(key, waiting[:2]):
                earlier.append(waiting)
        if fact.name != "released" and mark.decided:
            yield f"g: decided twice: {mark.decided}, {fact.name}"
        if fact.name == "granted":
            if in_the_way:
                yield "a: granted while a conflicting one holds"
            if earlier and waits:
                yield "a: fifo: overtakes an earlier conflicting claim"
        elif fact.name == "refused":
            own = next((waiting[2] for waiting in truth.waiting if waiting[:2] == key), None)
            gone = [owed is not None and own is not None and owed[1] < own for *_, owed in in_the_way]
            if in_the_way and all(gone) and not earlier:
                yield "g: refused because of what had ended before it was dispatched"
        elif key not in {held[:2] for held in truth.held}:
            yield "f: released but does not hold"
        elif fact.cause == "operator":
            if not mark.by_hand:
                yield "f: released by hand, but nobody asked"
        elif fact.cause != mark.end:
            yield f"f: released by {fact.cause}, but the attempt's end is {mark.end}"

    def _dispatcher(self, state: State, place: int) -> Moves:
        number, attempt = self.known[place]
        name = f"{number}.{attempt}"
        task, sends = state.tasks[number], state.sends[place]
        if state.marks[place].decided == "refused":
            outcome = self.aggregates.do(task, "submit-failed", attempt, "workspace-locked")
            if outcome.event:
                yield f"{name} refused: submit-failed", self.record(state, number, outcome), True, ()
        if not self.ready(state, place):
            return
        still = (task.attempt, task.status) == (attempt, Status.DISPATCHED)
        if state.runners and still and (not sends.sent or state.resends):
            again = bool(sends.sent)
            sent = state._replace(
                sends=put(state.sends, place, Sends(sends.sent + 1, sends.on_their_way + 1))
            )
            sent = sent._replace(resends=sent.resends - again)
            yield f"send {name}", sent, not again, ()
        if sends.on_their_way:
            fewer = put(state.sends, place, sends._replace(on_their_way=sends.on_their_way - 1))
            yield f"submission {name} is lost", state._replace(sends=fewer), False, ()
        outcome = self.aggregates.do(task, "submit-failed", attempt, "deadline")
        if outcome.event:
            yield f"deadline of {name}", self.record(state, number, outcome), True, ()

    def _ends(self, state: State, attempt: Attempt) -> Moves:
        number, current = attempt
        if not state.tasks[number].open or state.tasks[number].attempt != current:
            return
        for said in ("queued", "failed"):
            if said == "queued" and not (state.hands or state.operator):
                continue
            outcome = self.aggregates.do(
                state.tasks[number], said, current, "r0", self.granted(state, number)
            )
            if outcome.event:
                yield f"{said} {number}.{current}", self.record(state, number, outcome), False, ()

    # ------------------------------------------------------------------ runners

    def _runner(self, state: State, runner: int, place: int, held: Held) -> Moves:
        number, attempt = self.known[place]
        name = f"{number}.{attempt} on r{runner}"
        task, sends = state.tasks[number], state.sends[place]
        if sends.on_their_way:
            rest = sends._replace(on_their_way=sends.on_their_way - 1)
            taken = state._replace(sends=put(state.sends, place, rest))
            broken = ()
            if held.phase == Phase.UNKNOWN:
                taken = self._hold(taken, runner, place, held.say(Phase.ASKING, "queued", "running"))
                if not self.setting.gate:
                    taken, broken = self._start(taken, runner, place)
            yield f"take {name}", taken, True, broken
        if held.phase == Phase.PERMITTED:
            started, broken = self._start(state, runner, place)
            yield f"{name} starts", started, True, broken
        if held.phase == Phase.RUNNING:
            yield (
                f"{name} succeeds",
                self._hold(state, runner, place, held.say(Phase.OVER, "succeeded")),
                True,
                (),
            )
            if attempt < self.setting.attempts[number]:
                yield (
                    f"{name} fails",
                    self._hold(state, runner, place, held.say(Phase.OVER, "failed")),
                    False,
                    (),
                )
            if state.marks[place].end is not None:
                yield (
                    f"{name} is killed",
                    self._hold(state, runner, place, held.say(Phase.OVER, "failed")),
                    True,
                    (),
                )
        asked = task.attempt == attempt and task.cancel_requested and task.open
        if held.phase in (Phase.ASKING, Phase.PERMITTED, Phase.RUNNING) and asked:
            yield (
                f"{name} is stopped",
                self._hold(state, runner, place, held.say(Phase.OVER, "canceled")),
                True,
                (),
            )
        for said in sorted(held.said):
            yield from self._deliver(state, runner, place, said)

    def _deliver(self, state: State, runner: int, place: int, said: str) -> Moves:
        number, attempt = self.known[place]
        task, runners = state.tasks[number], state.runners[runner]
        assert runners is not None
        held = runners[place]
        outcome = self.aggregates.do(task, said, attempt, f"r{runner}", self.granted(state, number))
        recorded = self.record(state, number, outcome)
        label = f"{said} of {number}.{attempt} from r{runner}: {outcome.event or outcome.code or 'stale'}"
        if outcome.event:
            yield f"{label}, its answer is lost or it is a copy", recorded, False, ()
        if said not in held.owed:
            return
        answered = held._replace(owed=held.owed - {said})
        broken: tuple[str, ...] = ()
        if said == "running" and held.phase == Phase.ASKING:
            seen = outcome.state
            may_start = outcome.code is None and seen.status is Status.RUNNING
            if may_start and seen.cancel_requested:
                answered = answered.say(Phase.OVER, "canceled")
            elif may_start and (seen.attempt, seen.runner_id) == (attempt, f"r{runner}"):
                answered = answered._replace(phase=Phase.PERMITTED)
            elif outcome.code in ("cancel-requested", "lock-release-requested"):
                answered = answered.say(Phase.OVER, "canceled")
            else:
                answered = answered._replace(phase=Phase.OVER)
        permitted = self._hold(recorded, runner, place, answered)
        if answered.phase == Phase.PERMITTED and not self.setting.slow_start:
            permitted, broken = self._start(permitted, runner, place)
        yield label, permitted, True, broken

    def _start(self, state: State, runner: int, place: int) -> tuple[State, tuple[str, ...]]:
        mine = state.runners[runner]
        assert mine is not None
        started = self._hold(state, runner, place, mine[place]._replace(phase=Phase.RUNNING))
        return started, tuple(self._starting(state, runner, place))

    def _starting(self, state: State, runner: int, place: int) -> Iterator[str]:
        """What breaks if this process starts now."""
        mark = state.marks[place]
        if mark.end is not None:
            yield "d: a process starts though its attempt has ended"
        if mark.by_hand and not (self.setting.slow_start and mark.by_hand == "running"):
            yield "d: a process starts though its lock was freed by hand"
        for number, others in enumerate(state.runners):
            for other, held in enumerate(others or ()):
                if held.phase != Phase.RUNNING or (number, other) == (runner, place):
                    continue
                if other == place:
                    yield "h: an attempt runs twice at once"
                elif mark.by_hand or state.marks[other].by_hand:
                    continue
                elif self.setting.conflict(self.known[place], self.known[other]):
                    yield "e: two conflicting processes run at once"

    def _deaths(self, state: State) -> Moves:
        for runner, held in enumerate(state.runners):
            if held is None or not self.setting.lease:
                for number, task in enumerate(state.tasks):
                    if task.runner_id == f"r{runner}":
                        outcome = self.aggregates.do(task, "runner-lost", task.attempt)
                        if outcome.event:
                            label = f"watchdog: r{runner} is lost with {number}"
                            yield label, self.record(state, number, outcome), True, ()
            if held is not None and state.deaths:
                fewer = state._replace(deaths=state.deaths - 1)
                gone = fewer._replace(runners=put(state.runners, runner, None))
                yield f"r{runner} is fenced and never comes back", gone, False, ()
                restarted = tuple(
                    one.say(Phase.OVER, "failed")
                    if one.phase in (Phase.ASKING, Phase.PERMITTED, Phase.RUNNING)
                    else one
                    for one in held
                )
                back = fewer._replace(runners=put(state.runners, runner, restarted))
                yield f"r{runner} dies, restarts and reports what it held", back, False, ()

    @staticmethod
    def _hold(state: State, runner: int, place: int, held: Held) -> State:
        mine = state.runners[runner]
        assert mine is not None
        return state._replace(runners=put(state.runners, runner, put(mine, place, held)))

    # ------------------------------------------------------------------ at rest

    def at_rest(self, state: State) -> Iterator[str]:
        truth = self.locks.truth(state.locks)
        ahead = [held[:2] for held in truth.held]
        for key in ahead:
            mark = state.marks[self.index[key]]
            if mark.end is not None or mark.by_hand:
                yield "b: held though it has ended or was released by hand"
        for *key, _ in truth.waiting:
            if not any(self.setting.conflict((key[0], key[1]), other) for other in ahead):
                yield "b: waits though nothing is in its way"
            if self.setting.specs[key[0]].on_conflict == "reject":
                yield "g: rejects but is never decided"
            ahead.append((key[0], key[1]))
        for task in state.tasks:
            refused = task.open and state.marks[self.index[task.number, task.attempt]].decided == "refused"
            if refused or (task.open and not self.setting.ends):
                yield "b: an attempt stays open for ever"
