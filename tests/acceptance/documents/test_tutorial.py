"""The tutorials work as printed: their commands are typed into two terminals, the output is compared.

Ids, times, ports and the reader's directory differ each time, and a narrow terminal folds lines; `…` on the
page stands for what is left out. A command that only looks is repeated until it shows what the page shows,
as a reader would do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.documents.readme import Typed, blocks
from tests.support.repository import REPO
from tests.support.terminal import Terminal
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

PAGES = {"tutorial.md": 30, "several-agents.md": 15}
"""With how many commands at least, so that a page is not skipped because it is not understood."""
FIRST, SECOND = "console terminal-1", "console"
LOOKS = re.compile(r"towpath (tasks|task|wait|why|locks|runners|events|trail|verify)\b|test -e |cat ")
GOES_ON = "towpath up"
DIFFERS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12}\b"), "TASK"),
    (re.compile(r"\brunner-[0-9a-f]{10}\b"), "RUNNER"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"(\d{4}-\d\d-\d\d )?\b\d\d:\d\d:\d\d(\.\d+)?"), "TIME"),
    (re.compile(r"\b\d+ (s|min) ago\b|\bnow\b"), "AGO"),
    (re.compile(r"\b\d+\.\d s\b"), "LENGTH"),
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "PORT"),
    (re.compile(r"(?m)^\d+$"), "PID"),
)
KILLED = re.compile(r"bash: line \d+: +\d+ Killed ")


@pytest.fixture
def terminals(home: Home) -> Iterator[dict[str, Terminal]]:
    """Two shells in a directory that stands for the checkout."""
    checkout = home.path / "towpath"
    checkout.mkdir()
    both = {FIRST: Terminal(home, checkout), SECOND: Terminal(home, checkout)}
    yield both
    for terminal in both.values():
        terminal.close()


@pytest.mark.parametrize(("page", "least"), PAGES.items(), ids=PAGES)
async def test_the_tutorial_shows_what_happens(
    home: Home, terminals: dict[str, Terminal], page: str, least: int
) -> None:
    shown = blocks(REPO / "docs" / page)
    session = [(block.language, typed) for block in shown for typed in block.session]
    assert {language for language, _ in session} == terminals.keys()
    assert len(session) > least
    for language, typed in session:
        await _follow(home, terminals[language], typed)
    shells = {terminal.pid for terminal in terminals.values()}
    await eventually(lambda: set(home.processes()) == shells, DEADLINE)


async def _follow(home: Home, terminal: Terminal, typed: Typed) -> None:
    """Type one command; see what the page shows."""
    command = re.sub(r"\s+#\s.*$", "", typed.command)

    def matches(printed: str) -> bool:
        same = re.fullmatch(_pattern(typed.shown), _printed(home, printed)) is not None
        assert same, f"$ {command}\n{printed}\nThe page shows:\n" + "\n".join(typed.shown)
        return same

    if command.startswith("make "):
        assert command == "make demo"  # other tests run it
    elif command == GOES_ON:
        terminal.type(f"{GOES_ON} --port 0 --nats-port 0")
        matches(terminal.read_to_line(typed.shown[-1]))
    elif command == "^C":
        terminal.interrupt()
        matches(terminal.read_to_end())
    elif LOOKS.match(command):
        await eventually(lambda: matches(terminal.run(command)), DEADLINE)
    else:
        matches(terminal.run(command))


def _pattern(shown: list[str]) -> str:
    """What must be printed: this, with `…` for anything."""
    return ".*".join(re.escape(part.strip()) for part in _normal("\n".join(shown)).split("…"))


def _printed(home: Home, output: str) -> str:
    text = output.replace(str(home.path), "/home/you")
    lines = (line.rpartition("\r")[2] for line in text.split("\n"))  # of progress, the last state
    return _normal("\n".join(line for line in lines if not KILLED.match(line)))


def _normal(text: str) -> str:
    for differs, word in DIFFERS:
        text = differs.sub(word, text)
    return " ".join(text.split())
