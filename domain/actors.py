"""Actors of events: the names that callers may have, how an actor is shown, and how it is filtered by.

`operator:alice` is a token with a name, `operator:1a2b3c4d` one without; with
`operator:bot/telegram:4711:alice` the token named bot acts on behalf of alice, whom Telegram knows as 4711.
No part can hold `:` or `/`, so none can pass for another.
"""

from __future__ import annotations

import re

JOB_ACTOR = "job"
"""The actor of what a job sends with its own token."""
OPEN_ACTOR = "api"
"""The actor of callers of an API that asks for no token."""
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{8}")
_CALLER = re.compile(r"(?:(?:viewer|auditor|operator|admin):|api/).+")


def is_caller_name(text: str) -> bool:
    """Whether `text` may stand as a part of an actor."""
    return _NAME.fullmatch(text) is not None


def caller_name_problem(name: str) -> str | None:
    """Why a token cannot have this name, or None."""
    if not is_caller_name(name):
        return "a name has 1 to 64 of the characters A-Z a-z 0-9 _ . @ -"
    if _FINGERPRINT.fullmatch(name):
        return "a name of eight hex digits would pass for the fingerprint of a token without a name"
    return None


def shown_actor(actor: str) -> str:
    """`actor` with its last, most telling part first: `alice (operator:bot/telegram:4711)`.

    A caller that an API without tokens cannot name is `someone (open API)`.
    Actors without the name of a person, such as `runner:host-1` or `operator:1a2b3c4d`, stay as they are.
    """
    if actor == OPEN_ACTOR:
        return "someone (open API)"
    before, _, last = actor.rpartition(":")
    unnamed = before.isalpha() and _FINGERPRINT.fullmatch(last)
    return f"{last} ({before})" if _CALLER.fullmatch(actor) and not unnamed else actor


def is_by(actor: str, wanted: str) -> bool:
    """Whether `wanted` is `actor`, its first parts (`runner`, `operator:bot`), or the name of the caller."""
    if actor == wanted or (actor.startswith(wanted) and actor[len(wanted)] in ":/"):
        return True
    return _CALLER.fullmatch(actor) is not None and actor.rpartition(":")[2] == wanted
