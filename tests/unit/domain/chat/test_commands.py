"""What somebody wrote, read as a command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chat.commands import COMMANDS, BadCommand, parse
from domain.chat.people import ROLES, Recipe, User


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tasks", ("tasks", "", False)),
        ("  /Tasks@Towpath_Bot  failed shop ", ("tasks", "failed shop", True)),
        ("/run deploy\n--now", ("run", "deploy\n--now", False)),
        ("/start", ("help", "", False)),
        ("/nothing@towpath_bot", ("nothing", "", True)),
    ],
)
def test_commands_are_read(text: str, expected: tuple[str, str, bool]) -> None:
    command = parse(text, "towpath_bot")
    assert command is not None
    assert (command.name, command.rest, command.addressed) == expected


@pytest.mark.parametrize("text", ["", "tasks", "/tasks@other_bot", "see /tasks", "/", "//tasks", "/ü"])
def test_what_is_no_command_for_this_bot(text: str) -> None:
    assert parse(text, "towpath_bot") is None


def test_arguments_keep_together_what_is_quoted_and_no_shell_reads_them() -> None:
    command = parse("""/run deploy 'a b' "$(id)" ; rm""", "bot")
    assert command is not None
    given = command.arguments()
    assert given == ("deploy", "a b", "$(id)", ";", "rm")
    recipe = Recipe("deploy", ("make", "deploy"), takes_arguments=True)
    assert recipe.command_with(given[1:]) == ["make", "deploy", "a b", "$(id)", ";", "rm"]
    with pytest.raises(ValueError, match="takes no arguments"):
        Recipe("deploy", ("make",)).command_with(("x",))


@pytest.mark.parametrize("word", ["-x", "--eval=$(shell id)", "-"])
def test_a_word_becomes_an_option_of_the_program_only_where_it_ends_them(word: str) -> None:
    with pytest.raises(ValueError, match="may begin with -"):
        Recipe("deploy", ("make", "deploy"), takes_arguments=True).command_with(("x", word))
    ended = Recipe("show", ("git", "show", "--"), takes_arguments=True)
    assert ended.command_with(("x", word)) == ["git", "show", "--", "x", word]


@pytest.mark.parametrize("text", ["/run deploy 'open", "/run x " + "y " * 60])
def test_arguments_that_cannot_be_read_are_told(text: str) -> None:
    command = parse(text, "bot")
    assert command is not None
    with pytest.raises(BadCommand):
        command.arguments()


@given(st.text(max_size=200), st.text(max_size=20))
def test_any_text_is_read_or_is_no_command(text: str, name: str) -> None:
    command = parse(text, name)
    assert command is None or command.name == command.name.lower()


def test_roles_include_the_lower_ones() -> None:
    for number, role in enumerate(ROLES):
        user = User(1, "ann", role)
        assert [user.may(other) for other in ROLES] == [at <= number for at in range(len(ROLES))]
    assert {usage.role for usage in COMMANDS.values()} <= set(ROLES)
