"""Explores a small world breadth first, through every order in which its steps can happen.

A world is a set of immutable states with the steps that lead from one to the next. A step that a live
part must take sooner or later is `due`; a state in which no due step leads on is at rest, and what is
stuck there is stuck for ever.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that can happen; `broken` names the promises it breaks, each as `letter: words`."""

    label: str
    state: Hashable
    due: bool = True
    broken: tuple[str, ...] = ()


class World(Protocol):
    def start(self) -> Hashable: ...

    def steps(self, state: Hashable) -> Iterable[Step]: ...

    def at_rest(self, state: Hashable) -> Iterable[str]:
        """The promises broken if nothing more is due in `state`."""
        ...


@dataclass
class Explored:
    """What was found: for each promise broken, the shortest way to it."""

    states: int = 0
    steps: int = 0
    resting: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)


class TooLarge(Exception):
    """The world has more states than the test meant to visit."""


def _without_collector(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """States hold no cycles, and there are so many that looking for some takes a third of the time."""

    @wraps(work)
    def inner(*args: Given.args, **named: Given.kwargs) -> Result:
        gc.disable()
        try:
            return work(*args, **named)
        finally:
            gc.enable()

    return inner


@_without_collector
def explore(world: World, *, limit: int, until: str | None = None) -> Explored:
    """Visit every state, or stop once a promise that starts with `until` is broken.

    Nothing is explored behind a broken promise.

    Raises:
        TooLarge: there are more than `limit` states.
    """
    start = world.start()
    came_from: dict[Hashable, tuple[Hashable, str] | None] = {start: None}
    found = Explored()
    wave = [start]
    while wave and not (until and any(text.startswith(until) for text in found.broken)):
        following: list[Hashable] = []
        for state in wave:
            found.states += 1
            resting = True
            for step in world.steps(state):
                found.steps += 1
                for text in step.broken:
                    found.broken.setdefault(text, [*_way(came_from, state), step.label])
                if step.due and (step.broken or step.state != state):
                    resting = False
                if not step.broken and step.state not in came_from:
                    came_from[step.state] = (state, step.label)
                    following.append(step.state)
            if resting:
                found.resting += 1
                for text in world.at_rest(state):
                    found.broken.setdefault(text, _way(came_from, state))
            if len(came_from) > limit:
                raise TooLarge(f"more than {limit} states")
        wave = following
    return found


def _way(came_from: dict[Hashable, tuple[Hashable, str] | None], state: Hashable) -> list[str]:
    way: list[str] = []
    while (came := came_from[state]) is not None:
        state, label = came
        way.append(label)
    return way[::-1]
