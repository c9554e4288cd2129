"""Port `Outputs`: ranges of outputs, from the runners that keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.identifiers import RunnerId
from domain.runners.output_range import OutputRange, RangeRequest


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """Who keeps an attempt's output: the pool it was sent to, and its runner, if that has said its id."""

    pool: str
    runner_id: RunnerId | None


class OutputNotThere(Exception):
    """The runner has no output of the attempt and will get none. `never`: it keeps no outputs at all."""

    def __init__(self, *, never: bool = False) -> None:
        super().__init__()
        self.never = never


class RunnerAway(Exception):
    """The runner does not answer, or not now; the message says why."""


class Outputs(Protocol):
    """Asks runners."""

    async def read(self, place: OutputPlace, asked: RangeRequest) -> OutputRange:
        """The answer of the attempt's runner; it may wait as long as is asked for.

        Raises:
            OutputNotThere: the runner answers that it has none.
            RunnerAway: no answer.
        """
        ...


class NoOutputs:
    """Port `Outputs` where no runner can be asked."""

    async def read(self, place: OutputPlace, asked: RangeRequest) -> OutputRange:
        """See the port."""
        raise RunnerAway("this API cannot ask runners")
