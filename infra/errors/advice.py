"""Translates the API's advice into commands.

A problem's `detail` addresses programs. A user of the shell gets the command that does the same.
"""

from __future__ import annotations

import re

from infra.errors.validator_messages import in_words

_WORDS = (
    (r"register it with PUT /workspaces/([\w-]+)", r"register it with `towpath workspaces add \1 DIR`"),
    (r"list them with GET /tasks", "`towpath tasks` lists them"),
    (r"GET /notices/channels lists all", "`towpath doctor` looks at all"),
    (r"GET /dead lists them", "`towpath dead` lists them"),
    (r"GET /dead/settled what was", "`towpath dead settled` what was"),
    (r"GET /events shows what is there", "`towpath events` shows what is there"),
    (r"page GET /events with after_seq", "read it in pages with `towpath events --from SEQ`"),
    (r"GET /readyz says more", "`towpath doctor` says more"),
    (r"use the id that POST /tasks answered", "use an id that `towpath tasks` shows"),
    (
        r"there is no such route; GET /docs lists them all",
        "the API does not know this request: is it Towpath of this version? `towpath version` shows both",
    ),
    (r"GET /schemas lists them", "the documentation lists them"),
    (r"GET /docs lists the API's routes", "`towpath --help` lists the commands"),
    (r"look at GET /overview every 5 seconds", "look at `towpath tasks`"),
    (r"use on_conflict `wait`", "leave --reject out to wait"),
    (r"\block_paths\b", "--path"),
    (r"\block_mode\b", "--shared"),
    (r"\bon_conflict\b", "--reject"),
    (r"\block_wait_seconds\b", "--lock-wait"),
    (r"\btimeout_seconds\b", "--timeout"),
    (r"\btimeout_pauses\b", "--timeout-pauses"),
    (r"\bcreated_after\b", "--since"),
    (r"\blabels\b(?=[:.`])", "--label"),
    (r"\bsecrets\b(?=[:.`])", "--secret"),
    (r"\bon_runner_lost\b", "--on-runner-lost"),
    (r"body: `choices` are all different", "give each --choice once"),
    (r"body: `default` is one of `choices`", "--default is one of the choices"),
    (r"`choices`", "--choice"),
    (r"`free_text`", "--free-text"),
    (r"\bexpires_seconds\b", "--expires"),
)


_PLACE = re.compile(r"\b(?:body|query)\.([a-z_]+)(?:\.\d+)*(?=[.:])")
OPTIONS = {
    "command": "CMD",
    "root": "ROOT",
    "lock_paths": "--path",
    "lock_mode": "--shared",
    "on_conflict": "--reject",
    "lock_wait_seconds": "--lock-wait",
    "timeout_seconds": "--timeout",
    "timeout_pauses": "--timeout-pauses",
    "created_after": "--since",
    "labels": "--label",
    "secrets": "--secret",
    "on_runner_lost": "--on-runner-lost",
    "choices": "--choice",
    "free_text": "--free-text",
    "expires_seconds": "--expires",
    "default": "--default",
    "after_seq": "--after",
    "task_id": "--task",
    **{
        name: f"--{name}"
        for name in ("workspace", "pool", "env", "title", "label", "status", "event", "actor", "limit")
    },
    "from": "--from",
    "to": "--to",
    "at": "--at",
}
"""Command-line names for members of bodies and queries."""


def for_people(detail: str) -> str:
    """A problem's `detail`, rewritten for users of the command line."""
    detail = _PLACE.sub(lambda place: OPTIONS.get(place[1], place[1]), detail)
    detail = in_words(re.sub(r"\bbody\.", "", detail))
    for pattern, words in _WORDS:
        detail = re.sub(pattern, words, detail)
    return detail
