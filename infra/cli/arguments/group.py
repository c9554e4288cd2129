"""The `towpath` command group: suggests a similar command, explains invalid values."""

from __future__ import annotations

from io import StringIO
from typing import Any

import typer
from typer.core import TyperGroup

from infra.cli.arguments.plain_values import convert_plainly
from infra.cli.output.stderr import say
from infra.errors.exit_codes import Exit
from infra.errors.validator_messages import in_words

GUESSES = {
    "log": "`towpath trail ID` shows a task's events, `towpath logs ID` its output",
    "output": "`towpath logs ID` shows a task's output",
    "status": "`towpath task ID` shows a task, `towpath tasks` all of them",
    "show": "`towpath task ID` shows a task",
    "ps": "`towpath tasks` lists them",
    "list": "`towpath tasks` lists tasks, `towpath workspaces` workspaces",
    "history": "`towpath events` shows the log, `towpath trail ID` a task's part of it",
    "start": "`towpath up` starts everything, `towpath run` a task",
    "stop": "`towpath cancel ID` stops a task; Ctrl-C in its terminal stops `towpath up`",
    "kill": "`towpath cancel ID` stops a task",
    "exec": "`towpath run CMD` runs a command as a task",
    "submit": "`towpath run --detach CMD` starts a task and does not wait",
    "unlock": "`towpath release ID` frees a task's lock",
}
_SUBCOMMAND_GUESSES = {
    "workspaces": {"rm": "remove", "delete": "remove", "del": "remove", "create": "add", "new": "add"},
    "runners": {"rm": "forget", "remove": "forget", "delete": "forget"},
    "dead": {"rm": "drop", "delete": "drop", "remove": "drop", "retry": "replay"},
}


METAVARS = {
    "actor": "ACTOR",
    "api_url": "URL",
    "capacity": "N",
    "data_dir": "DIR",
    "event": "EVENT",
    "host": "ADDRESS",
    "kind": "KIND",
    "limit": "N",
    "nats_port": "PORT",
    "nats_url": "URL",
    "only": "PART",
    "pool": "NAME",
    "port": "PORT",
    "reason": "TEXT",
    "root": "DIR",
    "runner_id": "NAME",
    "state_dir": "DIR",
    "task": "ID",
    "title": "TEXT",
    "url": "URL",
    "workspace": "NAME",
}
"""Names in help texts for the values of options that define none."""
_WHOLE = 1000


def _no_type(ctx: Any) -> str:
    return ""


class Group(TyperGroup):
    """A command group whose errors say what to type instead."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the group's own options."""
        for one in self.get_params(ctx):
            convert_plainly(one)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name; the error for an unknown one suggests a similar name."""
        if args and args[0] not in self.commands:
            meant = _SUBCOMMAND_GUESSES.get(self.name or "", {}).get(args[0])
            if meant in self.commands:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {meant!r}?")
            if ctx.parent is None and args[0] in GUESSES:
                ctx.fail(f"No such command {args[0]!r}: {GUESSES[args[0]]}.")
            if ctx.parent is None and args[0] in ("rm", "remove", "delete"):
                ctx.fail(
                    f"No such command {args[0]!r}: `towpath workspaces remove ID` forgets a workspace, "
                    "`towpath cancel ID` ends a task; the log keeps its events."
                )
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; its help names values in words, not by Python types."""
        command: Any = super().get_command(ctx, cmd_name)
        for one in command.get_params(ctx) if command is not None else ():
            if one.metavar is None and not getattr(one, "is_flag", False):
                one.metavar = METAVARS.get(one.name or "")
            convert_plainly(one)
            if one.param_type_name == "argument":
                one.display_type_rich = _no_type  # the option's name suffices
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands with their whole summaries, wrapped where a line is too long."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(_WHOLE)) for name, one in commands if not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; rewrites validators' errors for users, and folds them on a terminal.

        Ctrl-C at a question ends the command as it does anywhere else.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = in_words(error.message)
            shown = StringIO()
            error.show(shown)
            say(shown.getvalue().rstrip("\n"))
            raise typer.Exit(error.exit_code) from None
        except typer.Abort as error:
            say("")
            interrupted = isinstance(error.__context__, KeyboardInterrupt)
            raise typer.Exit(Exit.INTERRUPTED if interrupted else Exit.ERROR) from None
