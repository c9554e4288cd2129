"""What Towpath keeps is its owner's alone, whatever the umask and whatever was there before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.towpath import DEADLINE, Home


@pytest.fixture(params=[0o000, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest, home: Home) -> Iterator[int]:
    """Of this process, and so of what it starts."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _open(directory: Path) -> list[str]:
    """What others may do anything with."""
    found = [directory, *directory.rglob("*")]
    return [f"{one} {one.stat().st_mode:o}" for one in found if one.stat().st_mode & 0o077]


def test_nothing_is_open_to_others(home: Home, umask: int) -> None:
    up = home.up(TOWPATH_LOG_LEVEL="info")
    script = "umask; touch made; stat -c %a made"
    done = up.towpath("run", "--secret", "KEY=s3cret-value", "--", "sh", "-c", script)
    assert done.stdout.split() == [f"{umask:04o}", f"{0o666 & ~umask:o}"], done.stderr  # a job's umask stays
    assert up.towpath("events", "--export", "events.jsonl").returncode == 0
    nats = ("--data-dir", up.data_dir, "--nats-port", up.nats_port)
    assert home.run("backup", "kept", *nats).returncode == 0
    assert up.server.interrupt() == 0

    assert (up.data_dir / "read-model.db").exists()
    assert (up.data_dir / "nats" / "jetstream").exists()
    for one in (up.data_dir, home.path / "kept"):
        assert _open(one) == []
    assert (home.path / "events.jsonl").stat().st_mode & 0o077 == 0
    assert home.program("git", "init", "-q").returncode == 0
    told = home.program("git", "status", "--porcelain", "-uall")
    assert (told.returncode, ".towpath" in told.stdout) == (0, False), told.stderr

    for one in [up.data_dir, *up.data_dir.rglob("*")]:  # as an earlier version may have left it
        one.chmod(one.stat().st_mode | (0o055 if one.is_dir() else 0o044))
    again = home.up()
    assert again.server.interrupt() == 0
    assert _open(up.data_dir) == []


@pytest.mark.parametrize(
    "env",
    [
        {"API_RUNNER_CALLBACK_TOKEN": ""},
        {"TOWPATH_API_TOKENS": " "},
        {"TOWPATH_RUNNER_TOKEN": ""},
        {"TOWPATH_API_TOKENS": "admin:"},
    ],
)
def test_an_empty_token_starts_nothing(home: Home, env: dict[str, str]) -> None:
    server = home.start("up", "--port", "0", "--nats-port", "0", **env)
    assert server.process.wait(DEADLINE) == 2
    (name,) = env
    assert name in server.words
    assert "Traceback" not in server.words
    assert not (home.path / ".towpath").exists()


def test_a_short_token_is_for_loopback(home: Home) -> None:
    server = home.start("up", "--port", "0", "--host", "0.0.0.0", TOWPATH_API_TOKENS="admin:short-one")
    assert server.process.wait(DEADLINE) == 2
    assert "openssl rand -hex 32" in server.words
    assert "short-one" not in server.words
