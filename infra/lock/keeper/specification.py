"""The specification of the lock's task: the workspace around a directory, paths in it, the command's text."""

from __future__ import annotations

import os

from infra.errors.exit_codes import Exit
from infra.lock.control_plane import ControlPlane
from infra.lock.endings import Ending
from infra.lock.options import Options

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

MAX_TITLE_CHARS = 500
MAX_WORD_CHARS = 2000
MAX_NAME_BYTES = 255
MAX_WORDS = 200


def specification(options: Options, control: ControlPlane) -> dict[str, Any]:
    """The body of the claim. Raises Ending, and what `control` raises."""
    here = os.getcwd()
    if options.workspace is not None:
        workspace = control.workspace(options.workspace)
    else:
        workspace = workspace_around(here, control.workspaces())
    spec = {
        "workspace": workspace["id"],
        "lock_paths": [lock_path(path, here, workspace) for path in options.path],
        "command": shown_command(options.command),
        "title": _cut(
            options.title if options.title is not None else " ".join(options.command), MAX_TITLE_CHARS
        ),
        "labels": dict(options.label),
    }
    if options.shared:
        spec["lock_mode"] = "shared"
    if options.reject:
        spec["on_conflict"] = "reject"
    if options.wait is not None:
        spec["lock_wait_seconds"] = options.wait
    return spec


def workspace_around(here: str, workspaces: list[dict[str, Any]]) -> dict[str, Any]:
    """The workspace with the longest root that contains the directory. Raises Ending."""
    around = [one for one in workspaces if _within(here, os.path.realpath(one["root"]))]
    if not around:
        raise Ending(
            Exit.NOT_FOUND,
            f"no registered workspace contains {here}: register one with `towpath workspaces add NAME "
            f"{here}`, or name one with -w",
        )
    return max(around, key=lambda one: len(os.path.realpath(one["root"])))


def lock_path(path: str, here: str, workspace: dict[str, Any]) -> str:
    """`path` relative to the root, links resolved, as two names of a file are one lock. Raises Ending."""
    root = os.path.realpath(workspace["root"])
    real = os.path.realpath(os.path.join(here, path))
    if not _within(real, root):
        raise Ending(Exit.USAGE, f"{path} is {real}, which is not in workspace {workspace['id']} ({root})")
    return _text(os.path.relpath(real, root))


def shown_command(command: list[str]) -> list[str]:
    """The command as the trail shows it: what cannot be stored is replaced, what is too long is cut."""
    shown = [_cut(word, MAX_WORD_CHARS) for word in command[:MAX_WORDS]]
    if len(command) > MAX_WORDS:
        shown.append(f"… and {len(command) - MAX_WORDS} more")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in shown[0].split("/")):
        shown[0] = shown[0].encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore")
    return shown


def program(name: str) -> str:
    """The program that `name` starts. Raises Ending: it is none, so nothing is claimed for it."""
    places = [name] if "/" in name else [os.path.join(one, name) for one in os.get_exec_path() if name]
    there = [one for one in places if os.path.isfile(one)]
    for one in there:
        if os.access(one, os.X_OK):
            return one
    what = "not executable" if there else "no such program" if "/" in name else "no such program on PATH"
    raise Ending(126 if there else 127, f"cannot start {_text(name)!r}: {what}")


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _cut(text: str, chars: int) -> str:
    text = _text(text)
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _text(value: str) -> str:
    """`value` as text that can be stored: bytes that are none are replaced."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
