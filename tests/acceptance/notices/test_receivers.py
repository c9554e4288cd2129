"""docs/examples/webhook_receiver.py takes what Towpath has signed, and nothing else."""

from __future__ import annotations

import sys

from tests.support.documents.receivers import check_receiver, running_receiver
from tests.support.repository import REPO


def test_the_receiver_in_python() -> None:
    with running_receiver([sys.executable, str(REPO / "docs/examples/webhook_receiver.py")]) as receiver:
        check_receiver(receiver)
