"""docs/examples/webhook_receiver.mts takes what Towpath has signed, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.documents.receivers import check_receiver, running_receiver

pytestmark = pytest.mark.node
HERE = Path(__file__).parent


def test_the_receiver_on_node(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "install Node 20: this target runs on it"
    compiler = [HERE / "node_modules" / ".bin" / "tsc", "--project", HERE, "--outDir", tmp_path]
    done = subprocess.run(
        [str(part) for part in compiler], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    with running_receiver([node, str(tmp_path / "docs/examples/webhook_receiver.mjs")]) as receiver:
        check_receiver(receiver)
