"""`towpath trail`, `events` and `watch`: events of a task or of the whole log, past and live."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.arguments.options import OutputFormat, OutputOption, TaskArgument, UrlOption, event_name
from infra.cli.arguments.positions import FromOption, ToOption
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.client.http import Api
    from infra.cli.output.formats import Column

EventOption = Annotated[str | None, typer.Option("-e", "--event", help="Only these.")]
ActorOption = Annotated[
    str | None,
    typer.Option("-a", "--actor", help="Only what this one caused: operator:alice, alice, or runner."),
]
ExportOption = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Write them to a .jsonl or .parquet file instead."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("trail")(trail)
    app.command("events")(events)
    app.command("watch")(watch)


def trail(
    id: TaskArgument,
    event: EventOption = None,
    actor: ActorOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    export: ExportOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show all events of a task, in order."""
    from infra.cli.client.http import path
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.event_text import TRAIL
    from infra.cli.output.formats import emit

    filters = {"event": event_name(event), "actor": actor, "from": from_, "to": to}

    def pages(api: Api) -> Iterable[Sequence[dict[str, Any]]]:
        return api.pages(path("tasks", resolve(api, id), "events"), **filters)

    if export is not None:
        _export(url, data_dir, export, pages)
        return
    with _connected(url, data_dir) as api:
        found = [one for page in pages(api) for one in page]
        waiting = _between_attempts(api, found) if output is OutputFormat.TABLE else None
    emit(output, found, TRAIL)
    if waiting is not None:
        from infra.cli.output.stderr import say
        from infra.cli.output.task_view import next_attempt

        say(next_attempt(waiting))


def _between_attempts(api: Api, found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The task of a trail that ends before a retry; None of any other."""
    if not found or found[-1]["event"] not in ("failed", "submit-failed", "released"):
        return None
    from infra.cli.client.http import path

    task: dict[str, Any] = api.get(path("tasks", found[-1]["task_id"]))
    return task if task["next_attempt_at"] else None


def events(
    task: Annotated[str | None, typer.Option("-t", "--task", help="Only this task.")] = None,
    workspace: Annotated[str | None, typer.Option("-w", "--workspace", help="Only this one.")] = None,
    event: EventOption = None,
    actor: ActorOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Show at most this many.")] = 100,
    export: ExportOption = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show the log, oldest first, or export it.

    --export writes all of them and ignores --limit.
    """
    event = event_name(event)
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.event_text import WATCHED
    from infra.cli.output.formats import emit

    def filters(api: Api) -> dict[str, str | None]:
        found = {"task_id": task and resolve(api, task), "workspace": workspace, "event": event}
        return {**found, "actor": actor, "from": from_, "to": to}

    if export is not None:
        _export(url, data_dir, export, lambda api: api.pages("/events", **filters(api)))
        return
    with _connected(url, data_dir) as api:
        found, more = api.items("/events", limit, **filters(api))
        if output is OutputFormat.TABLE:
            found = _titled(api, found)
    emit(output, found, _listed(WATCHED))
    if more:
        from infra.cli.output.stderr import say

        say(f"there may be more behind {found[-1]['seq']}: --from, or a higher --limit")


def _connected(url: str | None, data_dir: Path | None) -> Api:
    from infra.cli.client.http import connect

    return connect(url, data_dir)


def _titled(api: Api, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from infra.cli.client.tasks.titles import Titles

    titles = Titles(api)
    titles.look_up(event["task_id"] for event in events if event["task_id"])
    return titles.beside(events)


def _listed(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of `watch` with heads, as wide as needed."""
    from dataclasses import replace

    return tuple(replace(column, width=None) for column in columns)


def _export(
    url: str | None,
    data_dir: Path | None,
    file: Path,
    pages: Callable[[Api], Iterable[Sequence[dict[str, Any]]]],
) -> None:
    from infra.cli.output.export import check_format, export
    from infra.cli.output.stderr import say_count, say_done

    check_format(file)
    with _connected(url, data_dir) as api:
        count = export(file, pages(api), say_count)
    say_done(f"{count} events written to {file}")


def watch(
    task: Annotated[str | None, typer.Option("-t", "--task", help="Only this task.")] = None,
    workspace: Annotated[str | None, typer.Option("-w", "--workspace", help="Only this one.")] = None,
    event: EventOption = None,
    actor: ActorOption = None,
    after: Annotated[
        int | None, typer.Option(min=0, metavar="SEQ", help="Begin after this one; 0: the whole log.")
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show events as they are recorded, until Ctrl-C.

    A broken connection is resumed after the last event shown.
    Both JSON forms are a line per event.
    """
    event = event_name(event)
    from infra.cli.client.following.stream import events
    from infra.cli.client.http import connect
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.client.tasks.titles import Titles
    from infra.cli.output.event_text import WATCHED
    from infra.cli.output.formats import emit_line

    with connect(url, data_dir) as api:
        named = {"task_id": task and resolve(api, task), "workspace": workspace}
        filters = {**named, "event": event, "actor": actor}
        titles = Titles(api)
        try:
            for found in events(api, filters, after, give_up_seconds=math.inf):
                if found is not None:
                    shown = titles.beside([found])[0] if output is OutputFormat.TABLE else found
                    emit_line(output, shown, WATCHED)
        except KeyboardInterrupt:
            return
