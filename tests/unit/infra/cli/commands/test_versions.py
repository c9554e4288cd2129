"""`towpath version`: of the command, and of the API where one answers."""

from __future__ import annotations

import json
from importlib.metadata import version

from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi


def test_version(towpath: Towpath) -> None:
    assert towpath("--version").stdout.startswith("towpath ")


def test_versions_of_the_command_and_of_the_api(towpath: Towpath, api: FakeApi) -> None:
    api.answers["GET /version"] = 200, {"program": "9.9", "contract": "1", "nats_server": "2.15.1"}
    shown = towpath("version", "-o", "json")
    assert json.loads(shown.stdout) == {
        "command": version("towpath"),
        "program": "9.9",
        "contract": "1",
        "nats_server": "2.15.1",
    }
    alone = towpath("version", TOWPATH_URL="http://127.0.0.1:1")
    assert (alone.returncode, version("towpath") in alone.stdout) == (0, True)
    assert "not known" in alone.stderr
