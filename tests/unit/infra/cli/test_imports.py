"""What the commands that scripts call in loops import: each heavy module delays every one of them.

Modules are compared and not seconds, which a busy machine would break.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.infra.cli.conftest import environment
from tests.unit.infra.cli.fake_api import FakeApi

HEAVY = {
    *("asyncio", "concurrent", "cryptography", "email", "encodings.idna", "eventsourcing", "fastapi", "http"),
    *(
        "httpx",
        "logging",
        "nats",
        "orjson",
        "pydantic",
        "rich",
        "sqlalchemy",
        "ssl",
        "starlette",
        "structlog",
    ),
    *("urllib.request", "uuid_utils", "uvicorn"),
}
TYPERS = {"inspect", "subprocess", "typer"}
"""What typer imports, which is half of the time of a command; `towpath lock` does without."""
TASKS = {"items": [], "next_cursor": None}


def imported(
    api: FakeApi, where: Path, *arguments: str, entry: str = "from infra.entry import main; main()"
) -> set[str]:
    """The modules that one command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", entry, *arguments],
        cwd=where,
        env=environment(api),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    others = [line for line in done.stderr.splitlines() if line not in lines]
    assert (done.returncode, others) == (0, []), done.stderr[-2000:]
    return {line.rpartition("|")[2].strip() for line in lines}


def heavy(found: set[str], modules: set[str]) -> set[str]:
    return {one for one in modules if one in found or any(name.startswith(f"{one}.") for name in found)}


@pytest.mark.parametrize(
    "arguments",
    [["run", "-d", "--label", "a=b", "--timeout", "5m", "true"], ["tasks", "-n", "5", "-o", "json"]],
)
def test_a_short_command_imports_nothing_heavy(api: FakeApi, tmp_path: Path, arguments: list[str]) -> None:
    api.answers["GET /tasks"] = (200, TASKS)
    found = imported(api, tmp_path, *arguments)

    assert "infra.cli.client.light_http" in found
    assert heavy(found, HEAVY) == set()


def test_a_table_imports_nothing_heavy_but_what_draws_it(api: FakeApi, tmp_path: Path) -> None:
    api.answers["GET /tasks"] = (200, TASKS)
    assert heavy(imported(api, tmp_path, "tasks"), HEAVY) <= {"rich"}


def test_the_help_of_lock_imports_not_even_typer(api: FakeApi, tmp_path: Path) -> None:
    found = imported(api, tmp_path, "lock", "--help")

    assert "infra.lock.command" in found
    assert heavy(found, HEAVY | TYPERS) == set()


def test_the_processes_of_lock_import_not_even_pathlib(api: FakeApi, tmp_path: Path) -> None:
    processes = "infra.lock.command", "infra.lock.keeper.process", "runner.process.shim.shim"
    found = imported(api, tmp_path, entry=f"import {', '.join(processes)}")

    assert found >= set(processes)
    others = {"argparse", "pathlib", "selectors", "shutil", "socket", "tempfile", "urllib"}
    assert heavy(found, HEAVY | TYPERS | others) == set()
