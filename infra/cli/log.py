"""`towpath trail` and `watch`: the log, of one task as it stands and of everything as it grows."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from infra.cli.options import Output, OutputOption, TaskArgument, UrlOption

_ALL = 1_000_000


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("trail")(trail)
    app.command("watch")(watch)


def trail(id: TaskArgument, url: UrlOption = None, output: OutputOption = Output.TABLE) -> None:
    """Show all events of a task, in order."""
    from infra.cli.client import connect, path
    from infra.cli.event_words import TRAIL
    from infra.cli.output import emit
    from infra.cli.task_ids import resolve

    with connect(url) as api:
        found, _ = api.items(path("tasks", resolve(api, id), "events"), _ALL)
    emit(output, found, TRAIL)


def watch(
    task: Annotated[str | None, typer.Option("-t", "--task", help="Only this task.")] = None,
    workspace: Annotated[str | None, typer.Option("-w", "--workspace", help="Only this one.")] = None,
    event: Annotated[str | None, typer.Option("-e", "--event", help="Only these.")] = None,
    after: Annotated[
        int | None, typer.Option(min=0, metavar="SEQ", help="Begin behind this one; 0: the whole log.")
    ] = None,
    url: UrlOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show events as they are recorded, until Ctrl-C.

    A connection that breaks is made anew, behind the last event shown.
    Both JSON forms are a line per event.
    """
    from infra.cli.client import connect
    from infra.cli.event_words import WATCHED
    from infra.cli.output import emit_line
    from infra.cli.stream import events
    from infra.cli.task_ids import resolve

    with connect(url) as api:
        filters = {"task_id": task and resolve(api, task), "workspace": workspace, "event": event}
        try:
            for found in events(api, filters, after, give_up_seconds=math.inf):
                if found is not None:
                    emit_line(output, found, WATCHED)
        except KeyboardInterrupt:
            return
