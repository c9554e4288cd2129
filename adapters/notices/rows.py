"""Rows of the notifier's tables, from the domain's values and back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from adapters.notices.tables import WAITING
from domain.notices.conversation import NEW, Conversation
from domain.notices.rules import Trigger
from domain.notices.watches import Watch
from domain.ports.notices import Placed
from domain.protocol import rfc3339


def notice_row(one: Placed) -> dict[str, Any]:
    """A notice that waits."""
    return {
        "channel": one.channel,
        "id": one.message.id,
        "name": one.name,
        "place": one.place,
        "runner_id": one.runner_id,
        "state": WAITING,
        "at": rfc3339(one.at),
        "due_at": rfc3339(one.due_at),
        "bundles": one.bundles,
        "urgent": one.urgent,
        "again": False,
        "members": 1,
        "message": one.message.model_dump_json(),
        "tries": 0,
        "task_id": task.id if (task := one.message.notice.task) is not None else None,
    }


def watch_row(watch: Watch) -> dict[str, Any]:
    """An open watch."""
    return {
        "key": watch.key,
        "trigger": str(watch.trigger),
        "since": rfc3339(watch.since),
        "source_id": watch.source_id,
        "task_id": watch.task_id,
        "attempt": watch.attempt,
        "runner_id": watch.runner_id,
        "told_to": None if watch.told_to is None else json.dumps(watch.told_to),
    }


def as_watch(row: Any) -> Watch:
    """The watch of a row."""
    return Watch(
        Trigger.parse(row["trigger"]),
        datetime.fromisoformat(row["since"]),
        row["source_id"],
        row["task_id"],
        row["attempt"],
        row["runner_id"],
        None if row["told_to"] is None else tuple(json.loads(row["told_to"])),
    )


def optional_time(text: str | None) -> datetime | None:
    """The time that `rfc3339` wrote."""
    return datetime.fromisoformat(text) if text is not None else None


def conversation_row(shown: Conversation) -> dict[str, Any]:
    """What a chat shows about a topic."""
    return {
        "first": shown.first,
        "edited": shown.edited,
        "loud": shown.loud,
        "names": json.dumps(shown.names),
    }


def as_conversation(row: Any) -> Conversation:
    """The conversation of a row; None: a new one."""
    if row is None:
        return NEW
    return Conversation(row["first"], row["edited"], row["loud"], tuple(json.loads(row["names"])))
