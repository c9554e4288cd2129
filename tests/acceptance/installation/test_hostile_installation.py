"""An installation without a home, in the locale C and a directory that is not ASCII: all of it works."""

from __future__ import annotations

import json

import pytest

from tests.support.towpath import TOWPATH, Home, Up

COMMANDS = (
    "doctor",
    "verify",
    "replay",
    "checkpoint list",
    "checkpoint export evidence",
    "backup cöpy",
    "version",
    "tasks",
)


@pytest.fixture
def up(home: Home) -> Up:
    """`towpath up` there."""
    (home.path / "dät").mkdir()
    for name in ("HOME", "USER", "LOGNAME", "LANG", "XDG_CACHE_HOME"):
        home.env.pop(name, None)
    home.env |= {"LC_ALL": "C", "TOWPATH_DATA_DIR": str(home.path / "dät")}
    return home.up()


def test_every_command_works_on_it_and_says_when_it_cannot_write(up: Up) -> None:
    ran = up.towpath("run", "--title", "é🚀", "--", "echo", "grün")
    assert (ran.returncode, ran.stdout) == (0, "grün\n"), ran.stderr
    assert json.loads(up.towpath("tasks", "-o", "json").stdout)[0]["title"] == "é🚀"
    for command in COMMANDS:
        done = up.home.run(*command.split())
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    for command in ("doctor", "verify", "checkpoint export -"):
        full = up.home.program("sh", "-c", f"{TOWPATH} {command} > /dev/full")
        assert full.returncode == 1
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
