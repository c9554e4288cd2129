"""What a task finds of the control plane's secrets: nothing in its environment or in that of others."""

from __future__ import annotations

import os
from pathlib import Path

from runner.process.tree.process_tree import descendants
from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

SECRET = "a-secret-of-the-control-plane"
GIVEN = {
    "API_RUNNER_CALLBACK_TOKEN": SECRET,
    "TOWPATH_RUNNER_TOKEN": SECRET,
    "TOWPATH_SECRET_KEY": SECRET,
    "PGPASSWORD": SECRET,
    "OTEL_EXPORTER_OTLP_HEADERS": f"x={SECRET}",
    "HTTPS_PROXY": f"http://me:{SECRET}@127.0.0.1:9",
}


async def test_no_process_of_towpath_shows_its_secrets(home: Home, tmp_path: Path) -> None:
    up = home.up(**GIVEN)
    said = tmp_path / "said"  # `running` stands in the log before the process starts
    task_id = up.create(["sh", "-c", 'env; touch "$0"; while ! test -e go; do sleep 0.05; done', str(said)])
    await eventually(said.exists, DEADLINE)
    shown = {}
    for pid, _ in [(up.server.process.pid, ""), *descendants(up.server.process.pid)]:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if os.geteuid() == 0:
            shown[command] = Path(f"/proc/{pid}/environ").read_bytes()
    assert [command for command, block in shown.items() if SECRET.encode() in block] == []
    assert any(b"nats-server" in command for command in shown) == (os.geteuid() == 0)
    up.post(f"/tasks/{task_id}/cancel")
    await eventually(lambda: up.task(task_id)["status"] == "canceled", DEADLINE)
    tail = up.task(task_id)["output_tail"]
    assert "TOWPATH_TASK_ID=" in tail
    assert SECRET not in tail
    masked = [line for line in tail.splitlines() if "redacted" in line]
    assert masked == ["TOWPATH_JOB_TOKEN=[redacted]"], "the job's own token, which only asks"
    assert up.server.interrupt() == 0
