"""`--help` of every command: it imports nothing that costs, and names everything there is."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from infra.cli.app import app
from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.hostile import every_command

COSTLY = (
    "httpx",
    "rich.console",
    "pydantic",
    "fastapi",
    "nats",
    "sqlalchemy",
    "uvicorn",
    "structlog",
    "asyncio",
)


CLIENT = [
    "run",
    "tasks",
    "task",
    "dispatch",
    "cancel",
    "wait",
    "trail",
    "watch",
    "locks",
    "release",
    "runners",
]


SERVERS = ["up", "demo", "api", "projector", "notifier", "runner", "replay", "doctor", "backup", "restore"]


COMMANDS = [*CLIENT, "workspaces", "dead", "version", *SERVERS]


def test_help_imports_nothing_that_costs() -> None:
    code = (
        "import sys; sys.argv = ['towpath', '--help']\n"
        "from infra.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {COSTLY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_help_names_every_command(installed: Towpath) -> None:
    done = installed("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in done.stdout
    assert "8 timed out" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_every_command_that_shows_data_has_its_three_forms() -> None:
    without = {path for path, one in every_command() if not _has(one, "--output")}
    servers = {"up", "api", "projector", "runner", "mcp", "notifier", "notifier init"}
    assert without == {*servers, "demo", "lock", "logs", "checkpoint export", "checkpoint rotate-key"}


def _has(command: Any, option: str) -> bool:
    return any(option in one.opts for one in command.params)


def test_help_calls_values_by_words_and_cuts_nothing(towpath: Towpath) -> None:
    for path, _ in [("", None), *every_command()]:
        said = towpath(*path.split(), "--help", COLUMNS="80").stdout
        assert "usage" in said.lower()
        assert not re.search(r"<(list\[|str|int|float|path)", said), said
        assert not re.search(r"\w,?\.\.\.$", said, re.MULTILINE), said
