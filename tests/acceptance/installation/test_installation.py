"""One way to say "that installation": commands find ports, URL and tokens by the data directory."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.towpath import Home


def test_commands_find_what_runs_here(home: Home) -> None:
    up = home.up(TOWPATH_API_TOKENS="viewer:look-but-do-not-touch", TOWPATH_TOKEN="")
    ran = home.run("run", "--", "sh", "-c", "seq 30000")
    assert ran.returncode == 0, ran.stderr
    assert "last 8 KiB of 165 KiB" in ran.stderr
    assert json.loads(home.run("tasks", "-o", "json").stdout)[0]["status"] == "succeeded"
    (home.path / "deep" / "down").mkdir(parents=True)
    below = home.program("sh", "-c", "cd deep/down && towpath tasks -o json && towpath verify")
    assert below.returncode == 0, below.stderr
    examined = home.run("doctor", "-o", "json")
    found = {one["check"]: one["state"] for one in json.loads(examined.stdout)}
    assert (found["sync"], found["read model"]) == ("ok", "ok")
    assert home.run("backup", "copy").returncode == 0
    elsewhere = home.run("tasks", "--data-dir", "nothing-here")
    assert elsewhere.returncode == 1
    assert "no `towpath up` runs on" in elsewhere.stderr
    file = Path(up.data_dir) / "installation.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert up.server.interrupt() == 0
    assert not file.exists()
