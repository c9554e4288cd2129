"""`towpath up` on a disk that is too small for new work: it starts, and says at once what is missing."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.small_disk import may_mount, small_disk
from tests.support.towpath import Home, Up

SMALL, ENOUGH = 64, 640


def _doctor(up: Up) -> dict[str, dict[str, str]]:
    found = up.towpath("doctor", "--data-dir", up.data_dir, "--nats-port", up.nats_port, "-o", "json")
    return {one["check"]: one for one in json.loads(found.stdout)}


def _up(home: Home, disk: Path) -> Up:
    return home.up("--data-dir", disk / "data", "--root", home.path)


if may_mount():

    def test_a_small_disk_is_told_of_by_everything_that_meets_it(home: Home, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", SMALL) as disk:
            up = _up(home, disk)
            (said,) = [line for line in up.lines if line.startswith("room ")]
            assert "MiB short of room for new work: free that much there" in said
            refused = up.towpath("run", "--", "true")
            assert refused.returncode == 1
            assert "MiB short of room for new work" in refused.stderr
            found = _doctor(up)
            assert found["log room"]["state"] == "problem"
            assert "larger disk (--data-dir)" in found["log room"]["advice"]
            assert found["stream TOWPATH"]["state"] == "ok"
            assert up.server.interrupt() == 0
            home.close()

    def test_a_disk_that_is_large_enough_takes_work(home: Home, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", ENOUGH) as disk:
            up = _up(home, disk)
            assert not [line for line in up.lines if line.startswith("room ")]
            done = up.towpath("run", "--", "echo", "done")
            assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
            assert up.server.interrupt() == 0
            home.close()
