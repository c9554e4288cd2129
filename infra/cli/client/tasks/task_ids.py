"""Resolves task ids from a unique prefix or suffix."""

from __future__ import annotations

import re

from infra.cli.client.http import Api
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit

CANDIDATES = 50
SHOWN = 10
_WHOLE = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def resolve(api: Api, given: str) -> str:
    """The whole id; only a partial one costs requests.

    Raises:
        CliError: no task matches (not found), several match, or it is no id at all (usage).
    """
    given = given.lower()
    if _WHOLE.fullmatch(given):
        return given
    if not re.fullmatch("[0-9a-f-]{4,35}", given):
        raise CliError(f"{given!r} is no task id, and no part of one of at least 4 characters", Exit.USAGE)
    tasks, more = api.items("/tasks", CANDIDATES, id=given)
    fitting = [task for task in tasks if task["id"].startswith(given) or task["id"].endswith(given)]
    found = [task["id"] for task in fitting]
    if not found:
        raise CliError(f"no task has an id that starts or ends with {given}", Exit.NOT_FOUND)
    if more or len(found) > 1:
        some = [f"{task['id']}  {task['status']}  {task['title']}" for task in fitting[:SHOWN]]
        if more or len(found) > SHOWN:
            some.append(f"… and {'others' if more else f'{len(found) - SHOWN} more'}")
        many = f"more than {CANDIDATES}" if more else len(found)
        listing = "\n  ".join(some)
        raise CliError(f"{given} fits {many} tasks; give more of the id:\n  {listing}", Exit.USAGE)
    return str(found[0])
