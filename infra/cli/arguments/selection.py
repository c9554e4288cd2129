"""Options that select tasks, for `tasks`, `cancel` and `dispatch`."""

from __future__ import annotations

from dataclasses import dataclass
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

    @property
    def given(self) -> bool:
        """Whether any of them was given."""
        return any((self.status, self.workspace, self.pool, self.label, self.runner, self.reason)) or not (
            self.since is None and self.finished_since is None
        )

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
        }


def _label(text: str) -> str:
    ((name, value),) = pairs([text], "--label").items()
    if ":" in name:
        raise typer.BadParameter(f"{name!r}: a label's name cannot hold `:`", param_hint="--label")
    return f"{name}:{value}"
