"""A backup taken while work goes on, restored elsewhere: the same log, and its tasks go on."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.acceptance.jobs import hold, let_go
from tests.support.observers.audit import audit
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

SECRET = "5ecret-value"


@contextmanager
def work_going_on(up: Up) -> Iterator[None]:
    """New tasks all the while."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            up.create(["true"], dispatch=False)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE)


async def test_what_was_backed_up_goes_on_elsewhere(home: Home) -> None:
    up = home.up(TOWPATH_SUBMIT_DEADLINE_SECONDS="600", TOWPATH_LEASE_SECONDS="2")
    root = up.workspace("shop")
    done = up.create(["true"], workspace="shop")
    await eventually(lambda: up.ended(done), DEADLINE)
    running = hold(up, root, "shop", ["src"])
    await eventually(lambda: up.task(running)["status"] == "running", DEADLINE)
    waiting = up.create(
        ["sh", "-c", "echo $KEY"], workspace="shop", lock_paths=["src"], secrets={"KEY": SECRET}
    )
    unserved = up.create(["true"], workspace="shop", lock_paths=["docs"], pool="later")
    await eventually(lambda: unserved in up.holders(), DEADLINE)
    refused = httpx.post(f"{up.url}/runner/tasks/{done}/status", json={"status": "canceled"}, timeout=30)
    assert refused.status_code == 409
    before = up.events()

    where = ("--data-dir", up.data_dir, "--nats-port", up.nats_port)
    with work_going_on(up):
        taken = home.run("backup", "kept", *where, "-o", "json")
    assert taken.returncode == 0, taken.stderr
    streams = {one["stream"]: one for one in json.loads(taken.stdout)}
    assert streams["TOWPATH"]["last_seq"] >= len(before)
    assert streams["TOWPATH_DEAD"]["messages"] == 1
    manifest = (home.path / "kept" / "manifest.json").read_text()
    assert SECRET not in manifest
    key = (up.data_dir / "secret-key").read_text().strip()
    assert key not in manifest
    assert home.run("backup", "kept", *where).returncode == 1
    assert home.run("restore", "kept", *where).returncode == 1
    let_go(root, running)
    assert up.server.interrupt() == 0

    new = home.path / "new"
    new.mkdir()
    shutil.copy(up.data_dir / "secret-key", new / "secret-key")
    unread = home.run("restore", "kept", "--data-dir", new, "--nats-port", "0", "--public-key", "zz")
    assert (unread.returncode, "--public-key" in unread.stderr) == (1, True), unread.stderr
    keyed = ("--public-key", "00" * 32)
    restored = home.run("restore", "kept", "--data-dir", new, "--nats-port", "0", *keyed)
    assert restored.returncode == 0, restored.stderr
    assert "the log is whole" in restored.stderr
    assert "secret key" not in restored.stderr
    again = home.run("restore", "kept", "--data-dir", new, "--nats-port", "0")
    assert (again.returncode, "nothing is overwritten" in again.stderr) == (1, True)

    settings = {"TOWPATH_SUBMIT_DEADLINE_SECONDS": "600", "TOWPATH_LEASE_SECONDS": "2"}
    up = home.up("--data-dir", new, TOWPATH_POOLS="default,later", **settings)
    assert up.events()[: len(before)] == before
    ended = await eventually(lambda: up.ended(running), DEADLINE)
    assert (ended["status"], ended["reason"]) == ("failed", "runner-lost")
    ended = await eventually(lambda: up.ended(waiting), DEADLINE)
    assert (ended["status"], ended["output_tail"]) == ("succeeded", "[redacted]\n"), ended
    ended = await eventually(lambda: up.ended(unserved), DEADLINE)
    assert ended["status"] == "succeeded", ended
    dead = up.told("dead")
    assert len(dead) == 1, dead
    await eventually(lambda: up.holders() == {}, DEADLINE)
    await audit(up.nats_url)
    assert up.server.interrupt() == 0
