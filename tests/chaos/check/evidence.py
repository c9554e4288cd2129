"""A history, sorted by what it tells: operations, marks of jobs, and what was found once all had settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.history import Json

OUTCOMES = ("ok", "fail", "unknown")


@dataclass
class Op:
    """One operation. `answer` is what came back; `replayed`: a proxy sent the request a second time."""

    number: int
    do: str
    task: str
    asked: Json
    outcome: str = "unknown"
    answer: Json = field(default_factory=dict)
    replayed: bool = False

    @property
    def verdict(self) -> str:
        """`fail` says nothing where the request was sent twice: the other one may have been taken."""
        return "unknown" if self.replayed and self.outcome == "fail" else self.outcome


@dataclass
class Evidence:
    """`marks`, `outboxes`, `held` and what follows on `locks` are the history's lines as they are.

    `wall`: by how much the wall clock was ahead of CLOCK_BOOTTIME, at the begin and at the end.
    """

    ops: dict[int, Op] = field(default_factory=dict)
    marks: list[Json] = field(default_factory=list)
    models: dict[str, int] = field(default_factory=dict)
    rows: dict[str, dict[str, Json]] = field(default_factory=dict)
    outboxes: list[Json] = field(default_factory=list)
    held: list[Json] = field(default_factory=list)
    dead: set[tuple[str, int | None, str]] = field(default_factory=set)
    locks: list[Json] = field(default_factory=list)
    registrations: list[Json] = field(default_factory=list)
    workspaces: list[Json] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    runners: list[Json] = field(default_factory=list)
    lock_commands: list[Json] = field(default_factory=list)
    left_behind: list[Json] = field(default_factory=list)
    told: list[Json] = field(default_factory=list)
    notified: set[str] = field(default_factory=set)
    """Events that the run's notifier was to tell."""
    left: set[str] = field(default_factory=set)
    """Runners whose goodbye was stored, and which never came back."""
    faults: Counter[str] = field(default_factory=Counter)
    wall: list[float] = field(default_factory=list)
    settled: bool = False

    @classmethod
    def of(cls, history: Iterable[Json]) -> Evidence:
        """Read a history once."""
        found = cls()
        for line in history:
            found._take(line["line"], line)
        return found

    def _take(self, kind: str, line: Json) -> None:
        if "wall" in line:
            self.wall.append(line["wall"] - line["at"])
        if kind == "invoke":
            self.ops[line["op"]] = Op(line["op"], line["do"], line["task"], line)
        elif kind in OUTCOMES:
            op = self.ops[line["op"]]
            op.outcome, op.answer = kind, line
        elif kind == "replayed":
            self.ops[line["op"]].replayed = True
        elif kind == "row":
            self.rows.setdefault(line["model"], {})[line["row"]["id"]] = line["row"]
        elif kind == "model":
            self.models[line["model"]] = line["position"]
        elif kind == "unreadable":
            self.unreadable.append((line["model"], line["why"]))
        elif kind == "dead":
            self.dead.add((line["task"], line["attempt"], line["status"]))
        elif kind == "fault":
            self.faults[line["fault"]] += 1
        elif kind == "goodbye":
            self.left.add(line["runner"])
        elif kind == "notified":
            self.notified.update(line["events"])
        elif kind == "settled":
            self.settled = True
        else:
            self._keep(kind, line)

    def _keep(self, kind: str, line: Json) -> None:
        lists: dict[str, list[Any]] = {
            "mark": self.marks,
            "outbox": self.outboxes,
            "held": self.held,
            "locks": self.locks,
            "registration": self.registrations,
            "workspaces": self.workspaces,
            "runners": self.runners,
            "lock-command": self.lock_commands,
            "left-behind": self.left_behind,
            "told": self.told,
        }
        if kind in lists:
            lists[kind].append(line)
