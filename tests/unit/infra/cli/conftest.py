"""The command and an API for it to talk to.

`installed` is the real thing, a process; it costs a second. `towpath` runs the same entry point in this
process and is for everything that has variants.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from infra.cli.app import main
from tests.unit.infra.cli.fake_api import FakeApi, serving

TOWPATH = Path(sys.executable).with_name("towpath")
TIMEOUT_SECONDS = 30


class Towpath(Protocol):
    """Runs `towpath` with these arguments and environment; its output is text."""

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]: ...


def environment(api: FakeApi, **env: str) -> dict[str, str]:
    """The environment of a client of `api`, without settings of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOWPATH_", "API_", "HOST_RUNNER", "COLUMNS", "NO_COLOR", "FORCE_COLOR"))
    }
    return {**kept, "TOWPATH_URL": api.url, **env}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A fresh API."""
    with serving() as server:
        yield server


@pytest.fixture
def towpath(api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Towpath:
    """`towpath …` against that API, in this process."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in environment(api, **{"COLUMNS": "100", **env}).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["towpath", *arguments])
            capsys.readouterr()
            root = logging.getLogger()
            before, level = root.handlers[:], root.level
            with pytest.raises(SystemExit) as ended:
                main()
            root.handlers[:] = before  # its own writes to a stream that ends with the test
            root.setLevel(level)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out, err)

    return run


class Begin(Protocol):
    """Starts `towpath` with these arguments; both ways of its output can be read."""

    def __call__(self, *arguments: str, **env: str) -> subprocess.Popen[str]: ...


@pytest.fixture
def begin(api: FakeApi) -> Iterator[Begin]:
    """`towpath …` against that API, as a process that the test ends; TIMEOUT_SECONDS bound what is read."""
    started: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def run(*arguments: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [TOWPATH, *arguments],
            env=environment(api, **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        limit = threading.Timer(TIMEOUT_SECONDS, process.kill)
        limit.start()
        started.append((process, limit))
        return process

    yield run
    for process, limit in started:
        limit.cancel()
        process.kill()
        process.communicate()


@pytest.fixture
def installed(api: FakeApi) -> Towpath:
    """`towpath …` against that API, as a process."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TOWPATH, *arguments],
            env=environment(api, **env),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    return run
