"""Messages to append, without an aggregate around them."""

from __future__ import annotations

from adapters.event_store.codec import Message, encode
from tests.support.worlds import created, new_id, now


def creation(
    task_id: str | None = None, *, expected_seq: int = 0, version: int = 1, title: str = "demo"
) -> Message:
    """A `created` event of a new task, or of `task_id`."""
    return encode(
        "task", task_id or new_id(), "created", created(title=title),
        id=new_id(), version=version, at=now(), actor="operator:ann", expected_seq=expected_seq,
    )  # fmt: skip
