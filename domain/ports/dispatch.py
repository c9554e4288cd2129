"""Ports of dispatch: env encryption, and the client that submits attempts to runners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.protocol import Submission


class EnvCipher(Protocol):
    """Keeps env values unreadable in the log."""

    def encrypt(self, task_id: str, env: dict[str, str]) -> dict[str, str]:
        """Names to encrypted values."""
        ...

    def decrypt(self, task_id: str, env: dict[str, str]) -> dict[str, str]:
        """Names to values.

        Raises:
            EnvUnreadable: the key is another one or a value was changed.
        """
        ...


class EnvUnreadable(Exception):
    """Encrypted env values cannot be opened with this secret key."""


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """How a submission went. `queued`: a push runner has accepted; `sent`: it waits in a pool's queue."""

    queued: bool
    transport: str
    runner_id: str | None = None
    instance: str | None = None


class SubmitRejected(Exception):
    """The runner refused the submission for good; the message says why."""


class SubmitUnreachable(Exception):
    """No runner accepted the submission; the message says why."""


class RunnerClient(Protocol):
    """Hands attempts to runners."""

    async def submit(self, submission: Submission, pool: str) -> SubmitOutcome:
        """Send one attempt; sending the same attempt again is harmless.

        Raises:
            SubmitRejected: the runner answered 4xx.
            SubmitUnreachable: no answer, or an answer that leaves it open.
        """
        ...

    async def cancel(self, task_id: str, attempt: int, pool: str) -> None:
        """Ask a push runner to stop; runners on NATS read the event themselves.

        Raises:
            SubmitUnreachable: the runner does not answer; ask again.
        """
        ...
