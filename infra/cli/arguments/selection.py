"""Options that select tasks, for `tasks`, `cancel` and `dispatch`."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from infra.cli.arguments.options import pairs, status_name
from infra.cli.arguments.positions import time_option

StatusOption = Annotated[
    list[str] | None, typer.Option("-s", "--status", metavar="STATUS", help="Only these. Repeatable.")
]
WorkspaceOption = Annotated[str | None, typer.Option("-w", "--workspace", help="Only this one.")]
PoolOption = Annotated[str | None, typer.Option("--pool", help="Only this one.")]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Only with it. Repeatable.")
]
RunnerOption = Annotated[
    str | None, typer.Option("--runner", metavar="ID", help="Only where this runner took the attempt.")
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="REASON", help="Only what ended so: exit, timeout, …")
]
ExitCodeOption = Annotated[
    int | None, typer.Option("--exit-code", metavar="CODE", help="Only where the command ended with it.")
]
LockOption = Annotated[
    str | None,
    typer.Option(
        "--lock", metavar="STATE", help="Only those that wait for a lock or hold it: waiting, held."
    ),
]
MinAttemptOption = Annotated[
    int | None, typer.Option("--min-attempt", metavar="N", min=1, help="Only with at least so many attempts.")
]
SearchOption = Annotated[
    str | None, typer.Option("--search", metavar="WORDS", help="Only with these words in the title.")
]
BeforeOption = Annotated[datetime | None, time_option("--before", "Created before, in the words of --since.")]
FinishedSinceOption = Annotated[
    datetime | None, time_option("--finished-since", "Ended since, in the same words.")
]


@dataclass(frozen=True, slots=True)
class Selection:
    """The given options; None or empty: not given."""

    status: list[str] | None
    workspace: str | None
    pool: str | None
    label: list[str] | None
    runner: str | None
    reason: str | None
    since: datetime | None
    finished_since: datetime | None
    before: datetime | None = None
    search: str | None = None
    lock: str | None = None
    exit_code: int | None = None
    min_attempt: int | None = None

    @property
    def given(self) -> bool:
        """Whether any of them was given."""
        return any(value is not None and value != [] for value in astuple(self))

    def params(self) -> dict[str, Any]:
        """The query of `GET /tasks` and `GET /tasks/count`; a usage error for what cannot be meant."""
        return {
            "status": [status_name(one) for one in self.status or ()],
            "workspace": self.workspace,
            "pool": self.pool,
            "label": [_label(one) for one in self.label or ()],
            "runner": self.runner,
            "reason": self.reason,
            "created_after": self.since.isoformat() if self.since else None,
            "finished_after": self.finished_since.isoformat() if self.finished_since else None,
            "created_before": self.before.isoformat() if self.before else None,
            "q": self.search,
            "lock": _lock(self.lock),
            "exit_code": self.exit_code,
            "min_attempt": self.min_attempt,
        }


def _lock(text: str | None) -> str | None:
    if text not in (None, "waiting", "held"):
        raise typer.BadParameter("write waiting or held", param_hint="--lock")
    return text


def _label(text: str) -> str:
    ((name, value),) = pairs([text], "--label").items()
    if ":" in name:
        raise typer.BadParameter(f"{name!r}: a label's name cannot hold `:`", param_hint="--label")
    return f"{name}:{value}"
