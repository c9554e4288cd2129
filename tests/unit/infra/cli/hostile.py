"""What a shell, an environment and a server can do to the command, and what must hold all the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import typer.main

from infra.cli.app import app
from infra.errors.exit_codes import Exit
from tests.unit.infra.cli.shapes import TASK_ID

SECRET = "s3cr3t-0f-0urs"
"""Stands in every token and password of these tests, and in no output."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "--", "true"),
    "run --detach": ("run", "--detach", "--env", f"A={SECRET}", "--", "true"),
    "tasks": ("tasks",),
    "task": ("task", TASK_ID),
    "task by a part": ("task", TASK_ID[-8:]),
    "why": ("why", TASK_ID),
    "dispatch": ("dispatch", TASK_ID),
    "cancel": ("cancel", TASK_ID),
    "wait": ("wait", TASK_ID, "--timeout", "0.1"),
    "trail": ("trail", TASK_ID),
    "logs": ("logs", TASK_ID),
    "events": ("events",),
    "ask": ("ask", "Deploy?", "--choice", "yes"),
    "answer": ("answer", TASK_ID, "yes"),
    "questions": ("questions",),
    "locks": ("locks",),
    "locks of one": ("locks", "acme"),
    "release": ("release", TASK_ID, "--reason", "stuck"),
    "runners": ("runners",),
    "runners forget": ("runners", "forget", "host-1"),
    "workspaces": ("workspaces",),
    "workspaces add": ("workspaces", "add", "acme", "/srv/acme"),
    "workspaces remove": ("workspaces", "remove", "acme"),
    "dead": ("dead",),
    "dead show": ("dead", "show", "1"),
    "dead replay": ("dead", "replay", "1"),
    "dead settled": ("dead", "settled"),
    "dead drop": ("dead", "drop", "1", "--reason", "old"),
    "version": ("version",),
}
"""Every command that talks to the API and ends by itself."""

SERVERS: dict[str, tuple[str, ...]] = {
    "up": ("up",),
    "api": ("api",),
    "projector": ("projector",),
    "runner": ("runner", "--root", "/tmp"),
    "doctor": ("doctor",),
    "verify": ("verify",),
    "replay": ("replay",),
    "replay --rebuild": ("replay", "--rebuild"),
    "backup": ("backup", "/nowhere/backup"),
    "restore": ("restore", "/nowhere/backup"),
    "checkpoint list": ("checkpoint", "list"),
    "checkpoint export": ("checkpoint", "export", "-"),
    "version": ("version",),
    "demo": ("demo",),
    "notifier": ("notifier",),
    "notifier init": ("notifier", "init", "/nowhere/notify.toml"),
    "notifier check": ("notifier", "check"),
    "notifier test": ("notifier", "test", "ops"),
    "notifier dead": ("notifier", "dead"),
    "notifier replay": ("notifier", "replay", "--all"),
}
"""Every command that reads the settings of servers."""

ELSEWHERE = {"lock", "mcp", "watch", "checkpoint rotate-key"}
"""Not tried here: two run other programs, one never ends, one changes a key; each is tested elsewhere."""


def every_command() -> Iterator[tuple[str, Any]]:
    """Every command that can be called, with its words."""
    return _below(typer.main.get_command(app))


def _below(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _below(one, *path, name)
        if not hasattr(one, "commands") or one.invoke_without_command:
            yield " ".join((*path, name)), one


def bytes_as_text(raw: bytes) -> str:
    """`raw` as Python hands an argument or a variable over that is no UTF-8."""
    return os.fsdecode(raw)


def assert_decent(done: subprocess.CompletedProcess[Any], *, ok: bool | None = None) -> None:
    """A documented exit code, words instead of a traceback, and no secret."""
    out, err = done.stdout or "", done.stderr or ""
    assert done.returncode in set(Exit), err
    assert "Traceback" not in out + err
    assert "Exception ignored" not in err
    assert "fault of Towpath" not in err, err
    assert SECRET not in out + err
    if ok is not None:
        assert (done.returncode == 0) is ok, err
    if done.returncode not in (Exit.OK, Exit.TASK_FAILED):
        assert err.strip() or out.strip()
