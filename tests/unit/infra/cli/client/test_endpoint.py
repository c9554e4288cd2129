"""Where the API is: found from few variables exactly as the settings find it, or left to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.cli.client.endpoint import endpoint
from infra.cli.client.http import where
from infra.config.installation import Installation, Published


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith(("TOWPATH_", "API_", "HOST_RUNNER", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"TOWPATH_URL": "http://h:1/base/"},
        {"TOWPATH_URL": "http://h:1", "TOWPATH_TOKEN": "t"},
        {"TOWPATH_TOKEN": "t"},
        {"TOWPATH_TOKEN": "t", "TOWPATH_DATA_DIR": "data"},
        {"TOWPATH_DATA_DIR": "data"},
        {"TOWPATH_DATA_DIR": "data", "TOWPATH_URL": "http://h:1"},
    ],
)
@pytest.mark.parametrize("url", [None, "http://option:2"])
@pytest.mark.parametrize("data_dir", [None, "data"])
def test_it_finds_what_the_settings_find(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    env: dict[str, str],
    url: str | None,
    data_dir: str | None,
) -> None:
    (tmp_path / "data").mkdir()
    published = Published(tmp_path / "data", Installation(url="http://127.0.0.1:5", token="of-up"))
    given = None if data_dir is None else Path(data_dir)
    pid = os.fork()  # a lock of one's own process does not count as held
    if pid == 0:
        for name, value in env.items():
            os.environ[name] = value
        found = endpoint(url, given)
        os.environ["TOWPATH_PORT"] = "9"  # now the settings have to find it
        os._exit(
            0 if found is not None and endpoint(url, given) is None and where(url, given) == found else 1
        )
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    published.withdraw()


@pytest.mark.parametrize(
    "env",
    [
        {"TOWPATH_URL": "https://h"},
        {"TOWPATH_URL": "nonsense"},
        {"TOWPATH_URL": " "},
        {"TOWPATH_TOKEN": "two words"},
        {"TOWPATH_DATA_DIR": "~/data"},
        {"TOWPATH_DATA_DIR": "nothing-runs-there"},
        {"TOWPATH_LEASE_SECONDS": "30"},
        {"OTEL_SDK_DISABLED": "true"},
    ],
)
def test_what_the_settings_have_to_judge(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert endpoint(None, None) is None
