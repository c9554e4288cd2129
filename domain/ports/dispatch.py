"""Ports of dispatch: env encryption, and the client that submits attempts to runners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.identifiers import RunnerId, TaskId
from domain.protocol import Submission


class EnvCipher(Protocol):
    """Encrypts env values before they are stored in the log."""

    def encrypt(self, task_id: TaskId, env: dict[str, str]) -> dict[str, str]:
        """Names to encrypted values."""
        ...

    def decrypt(self, task_id: TaskId, env: dict[str, str]) -> dict[str, str]:
        """Names to values.

        Raises:
            EnvUnreadable: the key is a different one, or a value was changed.
        """
        ...


class EnvUnreadable(Exception):
    """Encrypted env values cannot be decrypted with this secret key."""


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """The result of a submission: accepted by a push runner (`queued`), else waiting in a pool's queue."""

    queued: bool
    transport: str
    runner_id: RunnerId | None = None
    instance: str | None = None


class SubmitRejected(Exception):
    """The runner rejected the submission for good; the message gives the reason."""


class SubmitUnreachable(Exception):
    """No runner accepted the submission; the message gives the reason."""


class RunnerClient(Protocol):
    """Submits attempts to runners, and asks them to stop."""

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """Send one attempt; idempotent.

        Raises:
            SubmitRejected: the runner answered 4xx.
            SubmitUnreachable: no answer, or one that does not decide (such as 5xx).
        """
        ...

    async def cancel(self, task_id: TaskId, attempt: int, pool: str) -> None:
        """Ask a push runner to stop; runners on NATS follow the cancel event themselves.

        Raises:
            SubmitUnreachable: the runner does not answer; try again.
        """
        ...
