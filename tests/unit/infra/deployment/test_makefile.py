"""`make` on machines that are not as it hopes: old or absent interpreters, half an environment, no home."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import REPO

OLD = """#!/bin/sh
[ "$1" = --version ] && echo "Python 3.10.12" && exit
[ "$1" = -m ] && mkdir -p .venv/bin && exit
exit 1
"""
NEW = """#!/bin/sh
[ "$1$2" = -mvenv ] || { [ "$1" = -c ] && echo 3.12.1; exit 0; }
mkdir -p .venv/bin
cp "$0" .venv/bin/python
printf '#!/bin/sh\\necho "uv ${UV_NO_CACHE:-cached}" >> calls\\n' > .venv/bin/uv
printf '#!/bin/sh\\necho demonstrated\\n' > .venv/bin/towpath
chmod +x .venv/bin/*
"""
READ = (
    "Makefile",
    "requirements-bootstrap.lock",
    "requirements.lock",
    "pyproject.toml",
    "packages/eventsourcing-nats/pyproject.toml",
    "packages/towpath-client/pyproject.toml",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile and what it reads, beside interpreters that only pretend."""
    for name in READ:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    for name, text in (("python3.10", OLD), ("python3.12", NEW)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def make(checkout: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`make …` with little around it."""
    given = {"PATH": os.environ["PATH"], "HOME": str(checkout), **env}
    return subprocess.run(
        ["make", *words], cwd=checkout, env=given, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("python", ["{}/python3.10", "no-such-python", "/dev/null"])
def test_an_interpreter_that_will_not_do_is_named_before_there_is_anything(
    checkout: Path, python: str
) -> None:
    done = make(checkout, "demo", f"PYTHON={python.format(checkout)}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "make demo PYTHON=python3.12" in done.stderr
    assert not (checkout / ".venv").exists()
    after = make(checkout, "demo", f"PYTHON={checkout}/python3.12")
    assert (after.returncode, after.stdout) == (0, "demonstrated\n"), after.stderr


def test_the_version_that_was_found_is_said(checkout: Path) -> None:
    assert "Python 3.10.12" in make(checkout, "demo", f"PYTHON={checkout}/python3.10").stderr


@pytest.mark.parametrize("left", ["unfinished", "dangling", "empty"])
def test_what_an_interrupted_make_left_is_made_anew(checkout: Path, left: str) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "old").touch()
    if left == "dangling":
        (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3.11")
    elif left == "unfinished":
        shutil.copy(checkout / "python3.12", checkout / ".venv" / "bin" / "python")
        (checkout / ".venv" / ".unfinished").touch()
    done = make(checkout, "demo", f"PYTHON={checkout}/python3.12")
    assert (done.returncode, done.stdout) == (0, "demonstrated\n"), done.stderr
    assert not (checkout / ".venv" / "old").exists()
    assert not (checkout / ".venv" / ".unfinished").exists()


@pytest.mark.parametrize("home", ["", "/proc", "/dev/null/x"])
def test_a_home_that_cannot_be_written_costs_the_cache_alone(checkout: Path, home: str) -> None:
    done = make(checkout, "demo", f"PYTHON={checkout}/python3.12", HOME=home)
    assert (done.returncode, done.stdout) == (0, "demonstrated\n"), done.stderr
    assert (checkout / "calls").read_text().splitlines() == ["uv 1"] * 2


def test_an_environment_that_is_up_to_date_costs_nothing(checkout: Path) -> None:
    words = ("demo", f"PYTHON={checkout}/python3.12")
    make(checkout, *words)
    calls = (checkout / "calls").read_text()
    assert make(checkout, *words).returncode == 0
    assert (checkout / "calls").read_text() == calls == "uv cached\n" * 2


def test_an_interpreter_that_is_not_there_is_said_to_be_missing(checkout: Path) -> None:
    assert "there is no no-such-python." in make(checkout, "demo", "PYTHON=no-such-python").stderr


@pytest.mark.parametrize("python", ["{}/python3.10", "no-such-python"])
def test_another_interpreter_is_not_ignored_where_there_is_an_environment(
    checkout: Path, python: str
) -> None:
    assert make(checkout, "demo", f"PYTHON={checkout}/python3.12").returncode == 0
    done = make(checkout, "demo", f"PYTHON={python.format(checkout)}")
    assert done.returncode != 0
    assert "the environment in .venv is Python" in done.stderr
    assert "make clean" in done.stderr
    assert make(checkout, "demo", f"PYTHON={checkout}/python3.12").returncode == 0
    assert make(checkout, "demo").stdout == "demonstrated\n"


def test_up_takes_options(checkout: Path) -> None:
    assert make(checkout, "demo", f"PYTHON={checkout}/python3.12").returncode == 0
    towpath = checkout / ".venv" / "bin" / "towpath"
    towpath.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    done = make(checkout, "up", "ARGS=--port 8010")
    assert done.stdout == "up --port 8010\n"
    assert 'make up ARGS="--port 8010"' in done.stderr
