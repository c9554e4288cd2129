"""Commands that hold a lock until a test lets them go, and that resist being killed."""

from __future__ import annotations

from pathlib import Path

from tests.support.towpath import Client

RESISTING = (
    "trap '' TERM INT HUP; (setsid sh -c \"trap '' TERM; while :; do echo d >> $0.log; sleep 0.1; done\" &); "
    "while :; do echo m >> $0.log; sleep 0.1; done"
)


def hold(client: Client, root: Path, workspace: str, paths: list[str], **spec: object) -> str:
    """A dispatched task that ends once `let_go` is called; its id."""
    script = f"until [ -e {root}/$TOWPATH_TASK_ID.go ]; do sleep 0.1; done"
    return client.create(["sh", "-c", script], workspace=workspace, lock_paths=paths, **spec)


def let_go(root: Path, task_id: str) -> None:
    """Let a task of `hold` end."""
    (root / f"{task_id}.go").touch()


def resisting(name: str) -> list[str]:
    """Writes to `<name>.log` for ever, also from a session of its own, and ignores SIGTERM."""
    return ["sh", "-c", RESISTING, name]
