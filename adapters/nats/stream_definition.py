"""A JetStream stream's definition, and how an existing stream differs from it.

Definitions are plain API JSON on purpose: operators see the server's own names of settings, and any setting
of any server version can be written and checked. Some settings are guarded: a stream in which one differs may
already have lost messages, so it is refused instead of silently repaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

IDENTITY = frozenset(
    {"subjects", "retention", "storage", "mirror", "sources", "sealed", "subject_transform", "no_ack"}
)
LOSES_MESSAGES = frozenset(
    {"discard", "discard_new_per_subject", "max_age", "max_msgs", "max_msgs_per_subject", "persist_mode"}
)
REWRITES_HISTORY = frozenset(
    {
        "deny_delete",
        "deny_purge",
        "allow_rollup_hdrs",
        "allow_msg_ttl",
        "allow_msg_schedules",
        "allow_msg_counter",
        "subject_delete_marker_ttl",
        "republish",
    }
)


@dataclass(frozen=True)
class StreamDefinition:
    """One stream: `settings` in the server's JSON names, durations in nanoseconds.

    `guarded` names the settings that must already be equal in an existing stream (absent means off);
    an update changes all others to `settings`.
    """

    name: str
    settings: Mapping[str, Any]
    guarded: frozenset[str] = field(default=IDENTITY | LOSES_MESSAGES)

    def config(self) -> dict[str, Any]:
        """The whole configuration for a create request."""
        return {"name": self.name, "storage": "file", **self.settings}

    def unsafe(self, existing: Mapping[str, Any]) -> list[str]:
        """The guarded settings that differ in an existing stream's configuration."""
        wanted = self.config()
        return [
            setting
            for setting in sorted(self.guarded)
            if _plain(existing.get(setting)) != _plain(wanted.get(setting))
        ]

    def changes(self, existing: Mapping[str, Any]) -> dict[str, Any]:
        """The other settings that an update must change; it never lowers an existing number of replicas."""
        changes = {
            setting: value
            for setting, value in self.config().items()
            if setting not in self.guarded and _plain(existing.get(setting)) != _plain(value)
        }
        if changes.get("num_replicas", 0) < existing.get("num_replicas", 1):
            changes.pop("num_replicas", None)
        return changes


def _plain(value: Any) -> Any:
    """None for "off", which the server writes as absent, 0, -1, false, empty or the default's name."""
    return None if value in (None, 0, -1, False, "", "default", [], {}) else value
