"""One class for each problem code of the API, below one for each status.

`except Conflict` therefore also catches a code that this version does not know: it becomes the class of its
status.
"""

from __future__ import annotations

from collections.abc import Iterator

from towpath_client.errors import Problem
from towpath_client.problems.codes import *  # noqa: F403
from towpath_client.problems.statuses import *  # noqa: F403
from towpath_client.problems.statuses import StatusProblem


def code_of(kind: type[Problem]) -> str:
    """The code of a class: `IdTaken` is `id-taken`."""
    return "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in kind.__name__).lstrip("-")


def _classes() -> Iterator[type[StatusProblem]]:
    for of_status in StatusProblem.__subclasses__():
        yield from of_status.__subclasses__()


BY_STATUS = {kind.STATUS: kind for kind in StatusProblem.__subclasses__()}
BY_CODE = {code_of(kind): kind for kind in _classes()}


def problem_class(code: str, status: int) -> type[Problem]:
    """The class of a problem: of its code, else of its status, else `Problem` itself."""
    return BY_CODE.get(code) or BY_STATUS.get(status) or Problem
