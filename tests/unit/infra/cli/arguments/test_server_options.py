"""No command is sent to what answers on the default ports where a data directory says what is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from infra.errors.cli_error import CliError

ID = "0190aaaa-0000-7000-8000-000000000001"
OF_API = (
    "tasks",
    f"task {ID}",
    f"why {ID}",
    f"cancel {ID}",
    f"dispatch {ID}",
    f"wait {ID}",
    f"trail {ID}",
    "run -- true",
    "events",
    "events --export out.jsonl",
    "watch",
    "locks",
    f"release {ID} --reason why",
    "runners",
    "dead",
    "dead show 1",
    "dead replay 1",
    "dead drop 1 --reason why",
    "workspaces",
    "workspaces add shop /srv",
    "workspaces remove shop",
)
OF_NATS = (
    "verify",
    "checkpoint list",
    "checkpoint export out",
    "replay",
    "replay --rebuild",
    "doctor",
    "backup kept",
    "api",
    "projector",
    "runner",
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory, and nothing set."""
    for name in os.environ:
        if name.startswith("TOWPATH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [*OF_API, *OF_NATS])
@pytest.mark.parametrize("how", ["option", "variable", "found"])
def test_it_is_refused_with_words(
    here: Path, monkeypatch: pytest.MonkeyPatch, command: str, how: str
) -> None:
    words, _, job = command.partition(" -- ")
    arguments, meant = words.split(), here / ("dead" if how != "found" else ".towpath")
    if how == "option":
        arguments += ["--data-dir", "dead"]
    elif how == "variable":
        monkeypatch.setenv("TOWPATH_DATA_DIR", "dead")
    else:
        (here / ".towpath" / "nats").mkdir(parents=True)
    ended = CliRunner().invoke(app, [*arguments, *(["--", job] if job else [])])
    assert isinstance(ended.exception, CliError), (ended.exception, ended.output)
    assert f"no `towpath up` runs on {meant}: start it, or say where its" in str(ended.exception)


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_version_of_the_command_is_told_without_asking_elsewhere(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "variable":
        monkeypatch.setenv("TOWPATH_DATA_DIR", "dead")
    ended = CliRunner().invoke(app, ["version", *(["--data-dir", "dead"] if how == "option" else [])])
    assert "no `towpath up` runs on" in ended.stderr
