"""The file that says where `towpath up` is: believed while its writer lives, and never over a setting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from infra.config.installation import (
    FILE,
    FOR_RUNNERS,
    Installation,
    Need,
    NotRunning,
    completed,
    find,
    for_part,
    for_runner,
    with_own_token,
)
from infra.config.settings import Settings, load_settings

HOLD = """
import sys
from pathlib import Path
from infra.config.installation import Installation, Published
Published(Path(sys.argv[1]), Installation.model_validate_json(sys.argv[2]))
print("published", flush=True)
sys.stdin.read()
"""
TOLD = Installation(
    url="http://127.0.0.1:4711", token="t0ken-of-this-one", nats_port=4712, database_url="sqlite:////x"
)

NEEDS: tuple[Need, ...] = ("url", "nats")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a data directory, and nothing set."""
    for name in os.environ:
        if name.startswith("TOWPATH_"):
            monkeypatch.delenv(name)
    (tmp_path / ".towpath").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def running(here: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has published TOLD there."""
    words: list[Any] = [sys.executable, "-c", HOLD, here / ".towpath", TOLD.model_dump_json()]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "published\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.usefixtures("running")
def test_what_runs_here_is_found(here: Path) -> None:
    settings = completed(load_settings(), "url")
    assert (settings.url, settings.nats_port, settings.database_url) == (
        "http://127.0.0.1:4711",
        4712,
        "sqlite:////x",
    )
    assert settings.token is not None
    assert settings.token.get_secret_value() == TOLD.token
    assert (here / ".towpath" / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("running")
def test_it_is_found_from_below_and_by_name(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "src" / "api").mkdir(parents=True)
    monkeypatch.chdir(here / "src" / "api")
    assert completed(load_settings(), "url").data_dir == here / ".towpath"
    assert find(load_settings(data_dir="elsewhere")) is None
    assert find(load_settings(data_dir=here / ".towpath")) is not None


@pytest.mark.usefixtures("running")
def test_what_is_set_wins_and_gets_no_token_of_another(here: Path) -> None:
    other = load_settings(url="http://other.invalid", nats_port=9, database_url="sqlite:////y")
    settings = completed(other, "url")
    assert (settings.url, settings.token, settings.nats_port) == ("http://other.invalid", None, 9)
    assert settings.database_url == "sqlite:////y"
    own = completed(load_settings(token=SecretStr("mine")), "url")
    assert own.token is not None
    assert own.token.get_secret_value() == "mine"


def test_a_leftover_is_not_believed(here: Path, running: subprocess.Popen[str]) -> None:
    assert find(load_settings()) is not None
    running.kill()
    running.wait()
    assert (here / ".towpath" / FILE).exists()
    for need in NEEDS:
        with pytest.raises(NotRunning, match="no `towpath up` runs on"):
            completed(load_settings(), need)


def test_parts_alone_leave_no_directory_of_an_up(here: Path) -> None:
    (here / ".towpath" / "secret-key").write_text("key")
    assert completed(load_settings(), "url").url == "http://127.0.0.1:8000"
    (here / ".towpath" / "nats").mkdir()
    (here / "below").mkdir()
    with pytest.raises(NotRunning, match=str(here / ".towpath")):
        completed(load_settings(), "url")


@pytest.mark.usefixtures("running")
def test_the_nearest_directory_of_an_up_is_meant(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "below" / ".towpath" / "nats").mkdir(parents=True)
    monkeypatch.chdir(here / "below")
    with pytest.raises(NotRunning, match=str(here / "below")):
        completed(load_settings(), "url")


@pytest.mark.parametrize("need", NEEDS)
@pytest.mark.parametrize("variable", [True, False])
def test_a_directory_that_was_named_is_not_replaced_by_the_defaults(
    here: Path, monkeypatch: pytest.MonkeyPatch, need: Need, variable: bool
) -> None:
    if variable:
        monkeypatch.setenv("TOWPATH_DATA_DIR", str(here / "dead"))
    named = {} if variable else {"data_dir": here / "dead"}
    with pytest.raises(NotRunning, match=str(here / "dead")):
        completed(load_settings(**named), need)
    assert completed(load_settings(url="http://x.invalid", **named), "url").url == "http://x.invalid"
    assert completed(load_settings(nats_port=9, **named), "nats").nats_port == 9


@pytest.mark.usefixtures("running")
def test_an_option_stands_over_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_URL", "http://other.invalid")
    monkeypatch.setenv("TOWPATH_TOKEN", "token-of-the-other")
    settings = completed(load_settings(data_dir=here / ".towpath"), "url", over=("url", "token"))
    assert settings.url == TOLD.url
    assert settings.token is not None
    assert settings.token.get_secret_value() == TOLD.token


@pytest.mark.usefixtures("running")
def test_parts_take_what_runs_on_their_directory(here: Path) -> None:
    (here / ".towpath" / FOR_RUNNERS).write_text("of-runners\n")
    assert for_part(load_settings()).nats_port == TOLD.nats_port
    runner = for_runner(load_settings())
    assert (runner.url, runner.nats_url, runner.nats_user) == (TOLD.url, "nats://127.0.0.1:4712", "runner")
    assert for_runner(load_settings(runner_nats=False)).url == TOLD.url
    for part in (for_part, for_runner):
        assert part(load_settings(nats_port=9)).nats_port == 9
        with pytest.raises(NotRunning):
            part(load_settings(data_dir=here / "dead"))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("mode", [0o644, 0o620, 0o666])
def test_a_file_that_others_may_touch_is_not_believed(here: Path, mode: int) -> None:
    (here / ".towpath" / FILE).chmod(mode)
    assert find(load_settings()) is None


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"url": 3}', b"\xff"])
def test_a_damaged_file_is_none(here: Path, text: bytes) -> None:
    with (here / ".towpath" / FILE).open("r+b") as file:
        file.truncate(0)
        file.write(text)
    assert find(load_settings()) is None


def test_a_link_is_not_followed(here: Path, running: subprocess.Popen[str]) -> None:
    (here / "real").mkdir()
    (here / ".towpath" / FILE).rename(here / "real" / FILE)
    (here / ".towpath" / FILE).symlink_to(here / "real" / FILE)
    assert find(load_settings()) is None


def test_an_api_with_tokens_gets_one_for_this_machine() -> None:
    settings = with_own_token(Settings(api_tokens=SecretStr("viewer:look-but-do-not-touch")))
    assert settings.token is not None
    assert settings.api_tokens is not None
    assert settings.api_tokens.get_secret_value().endswith(f",admin:{settings.token.get_secret_value()}")
    assert with_own_token(Settings()).token is None
    of_file = with_own_token(Settings(api_tokens_file=Path("/etc/tokens")))
    assert of_file.api_tokens is not None, "beside those of the file"
    assert of_file.api_tokens.get_secret_value().startswith("admin:")
