"""Rules: which facts are told to which channel.

A fact is an event of the log, or a condition: something that has begun, such as a lock wait of ten minutes. A
rule names facts by triggers and may narrow them by workspace, pool, label and title. A fact reaches a channel
once, however many of the channel's rules take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from domain.identifiers import RunnerId, TaskId
from domain.log.events import EVENTS
from domain.validation.durations import duration, seconds

EVENT_NAMES = frozenset(event for _, event in EVENTS)
LOCK_WAITS, RUNS = "lock-waits-over", "runs-over"
RUNNER_SUSPECTED, RUNNER_LOST = "runner-suspected", "runner-lost"
AWAITING_OPERATOR, DEAD_LETTER, RECOVERED = "awaiting-operator", "dead-letter", "recovered"
TIMED = frozenset({LOCK_WAITS, RUNS})
"""Conditions that begin after a duration, which their trigger names."""
ENDING = TIMED | {RUNNER_SUSPECTED, RUNNER_LOST, AWAITING_OPERATOR}
"""Conditions that end, which `recovered` tells."""
CONDITIONS = ENDING | {DEAD_LETTER, RECOVERED}
NAMES = EVENT_NAMES | CONDITIONS
URGENT = frozenset({"asked", AWAITING_OPERATOR})
"""What waits for a person: neither quiet hours nor a digest hold it."""
LONGEST_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """The name of an event or a condition; `after` for the conditions of TIMED."""

    name: str
    after: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> Trigger:
        """`failed` or `lock-waits-over 10m`. ValueError: there is no such event or condition."""
        name, _, length = text.strip().partition(" ")
        if name not in NAMES:
            raise ValueError(f"{name[:60]!r} is no event and no condition: {', '.join(sorted(NAMES))}")
        if name not in TIMED:
            if length:
                raise ValueError(f"`{name}` takes no duration: write `{name}` alone")
            return cls(name)
        if not length:
            raise ValueError(f"`{name}` needs a duration, such as `{name} 10m`")
        after = seconds(length, LONGEST_SECONDS)
        if after <= 0:
            raise ValueError(f"`{name}` needs a duration above zero")
        return cls(name, timedelta(seconds=after))

    def __str__(self) -> str:
        return self.name if self.after is None else f"{self.name} {duration(self.after.total_seconds())}"


_RECOVERED = Trigger(RECOVERED)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fact is about, as far as rules filter by it; a runner without tasks has only `pools`."""

    task_id: TaskId | None = None
    title: str = ""
    workspace: str | None = None
    pools: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    runner_id: RunnerId | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a channel may be told. `id` is that of the event, or is made of it.

    A runner's fact has one subject for each of its tasks. `began`: of `recovered`, the condition that ended.
    """

    id: str
    trigger: Trigger
    at: datetime
    subjects: tuple[Subject, ...]
    began: Trigger | None = None

    @property
    def urgent(self) -> bool:
        """Whether it is told at once, also in quiet hours."""
        return self.trigger.name in URGENT

    @property
    def place(self) -> str:
        """Where it happened, for a digest: the workspace, else the pool."""
        first = self.subjects[0] if self.subjects else Subject()
        return first.workspace or (first.pools[0] if first.pools else "")

    @property
    def runner_id(self) -> str:
        """The runner it is about; empty without one."""
        return (self.subjects[0].runner_id or "") if self.subjects else ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Tells `channel` the facts of `triggers`; None in a filter matches any value.

    `title` is a glob. `recovered` tells the end of the conditions that the same rule names.
    """

    channel: str
    triggers: tuple[Trigger, ...]
    workspace: str | None = None
    pool: str | None = None
    label: tuple[str, str] | None = None
    title: str | None = None

    def takes(self, fact: Fact) -> bool:
        """Whether the rule tells this fact. A fact about several tasks needs one that fits."""
        return fact.trigger in self.triggers and any(self._fits(one) for one in fact.subjects)

    def _fits(self, subject: Subject) -> bool:
        key, value = self.label or ("", "")
        return (
            (self.workspace is None or subject.workspace == self.workspace)
            and (self.pool is None or self.pool in subject.pools)
            and (self.label is None or subject.labels.get(key) == value)
            and (
                self.title is None or (subject.task_id is not None and fnmatchcase(subject.title, self.title))
            )
        )


class Rules:
    """All rules of a configuration."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self.triggers = frozenset(trigger for rule in self._rules for trigger in rule.triggers)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def wants(self, *names: str) -> bool:
        """Whether any rule names one of these events or conditions."""
        return any(trigger.name in names for trigger in self.triggers)

    def channels(self, fact: Fact) -> list[str]:
        """The channels that are told, each once, in the order of their first rule."""
        return list(dict.fromkeys(rule.channel for rule in self._rules if rule.takes(fact)))

    def channels_of_end(self, began: Trigger, told_to: Iterable[str]) -> list[str]:
        """Of the channels that were told of a beginning, those that are told of its end."""
        wanting = {
            rule.channel for rule in self._rules if began in rule.triggers and _RECOVERED in rule.triggers
        }
        return [channel for channel in told_to if channel in wanting]
