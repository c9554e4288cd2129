"""`towpath logs`: the output of a task's attempt, whole and live."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.arguments.options import TaskArgument, UrlOption
from infra.cli.arguments.server_options import DataDirOption

if TYPE_CHECKING:
    from infra.cli.client.http import Api

GIVE_UP_SECONDS = 300.0


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("logs")(logs)


def logs(
    id: TaskArgument,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on as it is written, until it is complete."),
    ] = False,
    attempt: Annotated[
        int | None,
        typer.Option(min=1, max=2**31 - 1, metavar="N", help="Default: the current one."),
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=0, metavar="N", help="Begin with the last N lines.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Its bytes as they are, also what controls a terminal.")
    ] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print the output of a task, from the runner that keeps it.

    With -f and without --attempt, attempts that follow by themselves (`run --retry`) are followed too.

    Ends with 5 if nothing of it is kept, 1 if its runner does not answer; both print the end of it, if known.
    """
    from infra.cli.client.following.output import NoOutput
    from infra.cli.client.http import connect
    from infra.cli.client.tasks.task_ids import resolve
    from infra.cli.output.bytes import OutputWriter

    with connect(url, data_dir) as api:
        writer = OutputWriter(raw=raw)
        try:
            _print(api, resolve(api, id), attempt, tail, writer.write, follow=follow)
        except NoOutput as error:
            if error.final and error.tail and not writer.written:
                writer.write(error.tail.encode("utf-8", "replace"))
            raise
        finally:
            writer.end()


def _print(
    api: Api,
    task_id: str,
    attempt: int | None,
    tail: int | None,
    write: Callable[[bytes], bool],
    *,
    follow: bool,
) -> None:
    from infra.cli.client.following.output import offset_of_last_lines, pieces_so_far
    from infra.cli.output.stderr import say

    offset = 0 if tail is None else offset_of_last_lines(api, task_id, attempt, tail)
    if follow:
        _follow(api, task_id, attempt, offset, write)
        return
    for piece in pieces_so_far(api, task_id, attempt, offset):
        if not write(piece.range.data):
            return
        if piece.range.size == 0 and not piece.range.complete:
            say("it has written nothing yet; `towpath logs -f` waits for it")


def _follow(api: Api, task_id: str, attempt: int | None, offset: int, write: Callable[[bytes], bool]) -> None:
    """One attempt; without `attempt` the current one, and those that follow it by themselves."""
    from infra.cli.client.following.follow import attempt_after
    from infra.cli.client.following.output import NoOutput, pieces
    from infra.cli.client.following.waiting import saying_what_it_waits_for
    from infra.cli.output.stderr import say

    current, trouble = attempt, None
    while True:
        try:
            with saying_what_it_waits_for(api, task_id):
                for piece in pieces(api, task_id, current, offset, GIVE_UP_SECONDS):
                    current = piece.attempt or current
                    if not write(piece.range.data):
                        return
            trouble = None
        except NoOutput as error:
            trouble, current = error, error.attempt or current
        following = attempt_after(api, task_id, current or 0, GIVE_UP_SECONDS) if attempt is None else None
        if following is None:
            if trouble is not None:
                raise trouble
            return
        if trouble is not None:
            say(str(trouble))
        say(f"attempt {following}:")
        current, offset = following, 0
