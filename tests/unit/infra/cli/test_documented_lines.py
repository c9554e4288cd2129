"""Every `towpath …` line that the pages show is one that the command takes, with its options."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from infra.cli.app import app
from infra.documents.write import DOCS, REPO

PAGES = [REPO / "README.md", *sorted(DOCS.glob("*.md"))]
SHOWN = re.compile(r"(?m)^[$#] (?:[A-Z_]+=\S+ )*towpath ((?:[^\n]*\\\n)*[^\n]*)$")
LINES = [
    pytest.param(line, id=f"{page.name}: {line}")
    for page in PAGES
    for line in SHOWN.findall(page.read_text())
]


def test_there_are_lines_to_look_at() -> None:
    assert len(LINES) > 20


@pytest.mark.parametrize("line", LINES)
def test_the_command_takes_it(line: str) -> None:
    words = shlex.split(re.sub(r" \d?>\S+", "", line.removesuffix("&")), comments=True)
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("towpath", words)
    assert not (words and hasattr(command, "commands")), f"{words[0]} is no command"
