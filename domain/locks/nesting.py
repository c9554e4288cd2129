"""Deadlock by nesting: a claim that waits for the task in whose command it is made would wait for itself.

Standard library only: `towpath lock` loads it before it has the lock.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TASK = "TOWPATH_TASK_ID"
AROUND = "TOWPATH_AROUND_TASK_IDS"
"""The tasks around the one in TASK, the outermost first, where `towpath lock` is nested."""
MOST_LOOKS = 100


def tasks_around(env: Mapping[str, str]) -> list[str]:
    """The tasks in whose commands a process with this environment runs."""
    return [*env.get(AROUND, "").split(), *([env[TASK]] if env.get(TASK) else [])]


class Nesting:
    """Looks, while a claim waits, whether it waits for one of the tasks around it, perhaps behind others."""

    def __init__(self, around: Sequence[str], blockers_of: Callable[[str], Sequence[str]]) -> None:
        """`blockers_of` tells for which tasks a task waits: they only become fewer, so one look does."""
        self._around = around
        self._blockers_of = blockers_of
        self._seen: set[str] = set()

    def waits_for(self, blocked_by: Sequence[str]) -> str | None:
        """The task around the claim that a claim behind these waits for; None if for none of them."""
        reached = list(blocked_by) if self._around else []
        reached.sort(key=lambda name: name not in self._around)
        for name in reached:
            if name in self._around:
                return name
            if name not in self._seen and len(self._seen) < MOST_LOOKS:
                self._seen.add(name)
                reached += self._blockers_of(name)
        return None
