"""Fresh ids, times and messages to append, without an aggregate around them."""

from __future__ import annotations

from datetime import UTC, datetime

from uuid_utils.compat import uuid7

from adapters.event_store.codec import Message, encode
from domain.log.events import CreatedData


def new_id() -> str:
    """A fresh UUIDv7."""
    return str(uuid7())


def now() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def created(**changes: object) -> CreatedData:
    """Data of a `created` event with plain defaults."""
    return CreatedData.model_validate(
        {
            "title": "demo",
            "command": ["true"],
            "execution_mode": "no-workspace",
            "workspace": None,
            "lock_paths": [],
            "lock_mode": "exclusive",
            "on_conflict": "wait",
            "pool": "default",
            "env": {},
            "timeout_seconds": None,
            "labels": {},
            **changes,
        }
    )


def creation(
    task_id: str | None = None, *, expected_seq: int = 0, version: int = 1, title: str = "demo"
) -> Message:
    """A `created` event of a new task, or of `task_id`."""
    return encode(
        "task", task_id or new_id(), "created", created(title=title),
        id=new_id(), version=version, at=now(), actor="operator:ann", expected_seq=expected_seq,
    )  # fmt: skip
