"""Commands: reads what somebody wrote, such as `/run deploy staging` or `/tasks@towpath_bot failed`.

In a group, a command may name the bot that it is for; one for another bot is none of ours.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from domain.chat.people import OPERATOR, VIEWER

MOST_ARGUMENTS = 50
_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)


class BadCommand(ValueError):
    """The command cannot be read; the text tells the user what to write."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A command that exists: the role that it needs at least, and what help says of it."""

    role: str
    arguments: str
    words: str


COMMANDS = {
    "tasks": Usage(VIEWER, "[filter]", "the newest tasks: a status, asking, or words of the title"),
    "task": Usage(VIEWER, "ID", "one task"),
    "why": Usage(VIEWER, "ID", "what a task waits for, or what ended it"),
    "log": Usage(VIEWER, "ID", "the last lines of its output"),
    "locks": Usage(VIEWER, "[workspace]", "who holds and who waits"),
    "runners": Usage(VIEWER, "", "the runners"),
    "run": Usage(VIEWER, "RECIPE [arguments]", "run a recipe; alone: which there are"),
    "cancel": Usage(OPERATOR, "ID", "cancel a task, after a second button"),
    "release": Usage(OPERATOR, "ID [reason]", "release its lock by hand, after a second button"),
    "help": Usage(VIEWER, "", "this list"),
}
_ALSO = {"start": "help"}


@dataclass(frozen=True, slots=True)
class Command:
    """A command as somebody wrote it; `rest` is all that follows the name."""

    name: str
    rest: str = ""
    addressed: bool = False

    @property
    def known(self) -> bool:
        """Whether there is such a command."""
        return self.name in COMMANDS

    def first(self) -> str:
        """Its first word, "" without one."""
        return self.rest.split(maxsplit=1)[0] if self.rest else ""

    def after_first(self) -> str:
        """What follows its first word."""
        parts = self.rest.split(maxsplit=1)
        return parts[1].strip() if len(parts) > 1 else ""

    def arguments(self) -> tuple[str, ...]:
        """All its words; quotes keep several together, as in a shell. Raises BadCommand."""
        try:
            found = tuple(shlex.split(self.rest))
        except ValueError:
            raise BadCommand("a quote is not closed: close it, or write a backslash before it") from None
        if len(found) > MOST_ARGUMENTS + 1:
            raise BadCommand(f"that are more than {MOST_ARGUMENTS} arguments")
        if any("\x00" in one for one in found):
            raise BadCommand("NUL cannot stand in an argument")
        return found


def parse(text: str, bot_name: str) -> Command | None:
    """The command in a message's text; None if it is none, or is for another bot than `bot_name`."""
    found = _COMMAND.fullmatch(text.strip())
    if found is None:
        return None
    name, bot, rest = found[1].lower(), found[2], (found[3] or "").strip()
    if bot is not None and bot.lower() != bot_name.lower():
        return None
    return Command(_ALSO.get(name, name), rest, addressed=bot is not None)
