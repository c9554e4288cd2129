"""Users of a chat, by the number that the chat knows them by, their roles, and the recipes that they may run.

No person is known by a name of theirs, which they can change, or by being in a chat, which others decide.
"""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("viewer", "auditor", "operator", "admin")
"""As the API's tokens have them; each includes those before it."""
VIEWER, OPERATOR = "viewer", "operator"


@dataclass(frozen=True, slots=True)
class User:
    """A person who may write to the bot."""

    id: int
    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether the user has this role, or one that includes it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def on_behalf_of(self) -> str:
        """How the API is told for whom the bot acts."""
        return f"telegram:{self.id}:{self.name}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A command with a name that users of `role` may run; `takes_arguments`: more words may follow it."""

    name: str
    command: tuple[str, ...]
    role: str = OPERATOR
    workspace: str | None = None
    pool: str | None = None
    title: str | None = None
    timeout_seconds: float | None = None
    takes_arguments: bool = False

    def command_with(self, arguments: tuple[str, ...]) -> list[str]:
        """The command; each argument is one element of it, and no shell sees them.

        ValueError: it takes none; or one could be an option of the program: only where the recipe's command
        ends with `--` are there none.
        """
        if arguments and not self.takes_arguments:
            raise ValueError(f"the recipe {self.name} takes no arguments: send /run {self.name} alone")
        if self.command[-1] != "--" and any(one.startswith("-") for one in arguments):
            raise ValueError(f"no argument of the recipe {self.name} may begin with -")
        return [*self.command, *arguments]
