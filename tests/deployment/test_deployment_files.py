"""What others' tools say of the deployment files: docker compose, systemd, promtool."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.deployment import DEPLOYMENT
from infra.deployment.prepare import main as prepare

pytestmark = pytest.mark.deployment
UNITS = sorted((DEPLOYMENT / "systemd").glob("*.service"))


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cluster.yaml"])
def test_compose_reads_it(name: str, tmp_path: Path) -> None:
    prepare(["--directory", str(tmp_path)])
    shutil.copy(DEPLOYMENT / name, tmp_path)
    plugin = (
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    )
    compose = ["docker", "compose"] if plugin else ["docker-compose"]
    assert "towpath" in run(*compose, "-f", name, "config", cwd=tmp_path)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reads_it(unit: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("towpath")
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={program}", unit.read_text()))
    said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy)
    assert [line for line in said.splitlines() if unit.name in line] == []


def test_prometheus_reads_rules_and_example(tmp_path: Path) -> None:
    for name in ("prometheus.yaml", "alerts.yaml"):
        text = (DEPLOYMENT / "prometheus" / name).read_text()
        (tmp_path / name).write_text(text.replace("/etc/prometheus/towpath-token", "token"))
    (tmp_path / "token").write_text("t")
    run("promtool", "check", "config", "prometheus.yaml", cwd=tmp_path)
    assert "rules found" in run("promtool", "check", "rules", "alerts.yaml", cwd=tmp_path)
