"""Drive Towpath from a program: `Client`, `AsyncClient`, their results and errors.

Both clients carry out the same operations (`tasks.py`, `questions.py`, `output.py`, `stream.py`): generators
that decide everything and do no I/O (`steps.py`). `transport.py` does it, with httpx.
"""

from towpath_client import problems
from towpath_client.async_client import AsyncClient
from towpath_client.client import Client
from towpath_client.errors import (
    BadConfiguration,
    LockLost,
    LockNotGranted,
    NoOpenQuestion,
    NotTowpath,
    Problem,
    QuestionClosed,
    QuestionExpired,
    TaskFailed,
    TimedOut,
    TowpathError,
    Unanswered,
    Unreachable,
)
from towpath_client.ids import KEY_NAMESPACE, id_of_key
from towpath_client.locks.async_lock import AsyncLock
from towpath_client.locks.lock import Lock
from towpath_client.models import (
    Attempt,
    Event,
    LocksReleased,
    OutputRange,
    Question,
    Runner,
    RunResult,
    Status,
    Task,
    TaskCount,
    Why,
    Workspace,
    WorkspaceLocks,
)
from towpath_client.tasks import TaskFilters, TaskOptions

__all__ = [
    "KEY_NAMESPACE",
    "AsyncClient",
    "AsyncLock",
    "Attempt",
    "BadConfiguration",
    "Client",
    "Event",
    "Lock",
    "LockLost",
    "LockNotGranted",
    "LocksReleased",
    "NoOpenQuestion",
    "NotTowpath",
    "OutputRange",
    "Problem",
    "Question",
    "QuestionClosed",
    "QuestionExpired",
    "RunResult",
    "Runner",
    "Status",
    "Task",
    "TaskCount",
    "TaskFailed",
    "TaskFilters",
    "TaskOptions",
    "TimedOut",
    "TowpathError",
    "Unanswered",
    "Unreachable",
    "Why",
    "Workspace",
    "WorkspaceLocks",
    "id_of_key",
    "problems",
]
