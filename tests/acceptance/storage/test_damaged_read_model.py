"""A read model whose file is damaged: `up` makes it again from the log."""

from __future__ import annotations

import json

from tests.support.towpath import Home


def test_up_makes_a_damaged_read_model_again(home: Home) -> None:
    up = home.up()
    assert home.run("run", "--", "true").returncode == 0
    before = json.loads(home.run("tasks", "-o", "json").stdout)
    data_dir = up.data_dir
    assert up.server.interrupt() == 0
    for file in data_dir.glob("read-model.db-*"):
        file.unlink()
    (data_dir / "read-model.db").write_bytes(b"no database" * 2000)
    verified = home.run("verify", "--data-dir", data_dir)
    assert "made again from the log" in verified.stderr, verified.stderr
    assert "Error" not in verified.stderr
    again = home.up()
    assert home.run("run", "--", "true").returncode == 0
    assert json.loads(home.run("tasks", "-o", "json").stdout)[1:] == before
    (moved,) = data_dir.glob("read-model.db.damaged-*")
    assert again.server.interrupt() == 0
    assert moved.read_bytes().startswith(b"no database")
    assert "sqlalche" not in again.server.words
