"""Digests: one message for many notices. It counts them all, and names the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.notices.message import Message, Notice

FIRST = 5
TYPE = "towpath.notices.digest.v1"


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a digest's notices tell the same: this name, in this place, on this runner."""

    name: str
    place: str
    runner_id: str
    count: int


def digest(at: datetime, shares: Sequence[Share], first: Sequence[Message]) -> Message:
    """The digest of the notices that `shares` count; `first`: the earliest of them, at least one."""
    number = sum(share.count for share in shares)
    named = [message.notice.text.splitlines()[0] for message in first[:FIRST]]
    lines = [f"{number} notices: {_counted(shares)}", *(f"* {line}" for line in named)]
    if number > len(named):
        lines.append(f"and {number - len(named)} more")
    groups = [
        {"name": one.name, "place": one.place or None, "runner_id": one.runner_id or None, "count": one.count}
        for one in shares
    ]
    return Message(
        id=f"digest_{first[0].id}",
        type=TYPE,
        subject="towpath",
        at=at,
        data={"count": number, "groups": groups, "first": [message.id for message in first[:FIRST]]},
        notice=Notice(name="digest", text="\n".join(lines)),
    )


def _counted(shares: Sequence[Share]) -> str:
    """`12 failed in shop, 9 of them on host-3; 1 canceled`: the most frequent first."""
    places, runners = Counter[tuple[str, str]](), dict[tuple[str, str], Counter[str]]()
    for share in shares:
        key = (share.name, share.place)
        places[key] += share.count
        runners.setdefault(key, Counter())[share.runner_id] += share.count
    words = []
    for (name, place), count in sorted(places.items(), key=lambda one: (-one[1], one[0])):
        runner_id, most = max(runners[name, place].items(), key=lambda one: (one[1], one[0]))
        where = f" in {place}" if place else ""
        on = f", {most} of them on {runner_id}" if runner_id and 1 < most < count else ""
        on = f" on {runner_id}" if runner_id and most == count else on
        words.append(f"{count} {name}{where}{on}")
    return "; ".join(words)
