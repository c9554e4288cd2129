"""What people type that is not quite right is answered in their words, with what was meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import REPO
from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, Towpath, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.screen import on_screen


@pytest.mark.parametrize(
    ("given", "names", "meant"),
    [
        ("tasks --status runing", "--status", "did you mean running?"),
        ("events --event faild", "--event", "did you mean failed?"),
        ("watch --event faild", "--event", "did you mean failed?"),
        ("trail 1234 --event zzz", "--event", "granted"),
        ("tasks -n many", "--limit", "give a whole number"),
        ("tasks -o yaml", "--output", "'yaml' is not one of 'table'"),
        ("up --port 99999", "--port", "give at most 65535"),
        ("up --port abc", "--port", "give a whole number"),
        ("api --port 99999", "--port", "give at most 65535"),
        ("up --nats-port 99999", "--nats-port", "give at most 65535"),
        ("up --job-signals maybe", "--job-signals", "give one of any, own"),
        ("runner --capacity 0", "--capacity", "give at least 1"),
        ("runner --pool a,b", "--pool", "give 1 to 64"),
        ("runner --listen h:99999", "--listen", "give at most 65535"),
        ("verify --checkpoints nosuch", "--checkpoints", "there is no file"),
        ("log 1", "'log'", "towpath trail"),
        ("output 1", "'output'", "towpath logs"),
        ("status 1", "'status'", "towpath task"),
        ("rm shop", "'rm'", "towpath workspaces remove"),
        ("workspaces rm shop", "'rm'", "Did you mean 'remove'?"),
        ("dead rm 1", "'rm'", "Did you mean 'drop'?"),
    ],
)
def test_a_wrong_word(towpath: Towpath, given: str, names: str, meant: str) -> None:
    done = towpath(*given.split())
    assert (done.returncode, done.stdout) == (2, "")
    said = " ".join(done.stderr.split())
    assert names in said
    assert meant in said
    for foreign in ("Input should", "Value error", "String should", "TOWPATH_", "[Errno", ".0:"):
        assert foreign not in said


def test_a_long_usage_error_is_folded_on_a_terminal(api: FakeApi) -> None:
    code, shown = on_screen(["run", "--path", "src", "--", "true"], environment(api))
    assert code == 2
    assert shown.startswith("Usage: towpath run [OPTIONS]")
    assert "name its --workspace" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("shown", ["lock granted", "lock-granted", "granted"])
def test_an_event_may_be_named_as_tables_print_it(api: FakeApi, towpath: Towpath, shown: str) -> None:
    assert towpath("events", "--event", shown).returncode == 0
    (asked,) = api.asked("GET", "/events")
    assert ("event", "granted") in asked.query


def test_a_data_directory_that_cannot_be_made_is_named_as_the_option(towpath: Towpath) -> None:
    done = towpath("up", "--data-dir", "/proc/no-such", "--port", "0", "--nats-port", "0")
    assert done.returncode == 1
    assert "--data-dir /proc/no-such cannot be used" in done.stderr
    assert "Errno" not in done.stderr


@pytest.mark.parametrize("given", [(), ("shop",), ("shop", "src"), ("shop", "src", "--")])
def test_the_lock_script_says_how_it_is_used(given: tuple[str, ...]) -> None:
    done = _example("sh", "with_lock.sh", *given)
    assert done.returncode == 2
    assert "usage: with_lock.sh WORKSPACE PATH" in done.stderr


@pytest.mark.parametrize("given", [(), ("s.db",), ("s.db", "put", "k"), ("s.db", "put", "k", "v")])
def test_the_fenced_store_says_how_it_is_used(tmp_path: Path, given: tuple[str, ...]) -> None:
    done = _example(sys.executable, "fenced_store.py", *given)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr or "towpath run --workspace" in done.stderr


def _example(program: str, name: str, *given: str) -> subprocess.CompletedProcess[str]:
    file = REPO / "docs" / "examples" / name
    return subprocess.run(
        [program, file, *given],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
