"""Two runners that were given one id: named to people, and neither ends what the other one runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Home, Json, Server, Up
from tests.support.waiting import eventually

LEASE = {"TOWPATH_LEASE_SECONDS": "3", "TOWPATH_LEASE_GRACE_SECONDS": "1"}


def runner(up: Up, name: str, *options: str | Path, **env: str) -> Server:
    """A runner with the id `twin` and a state directory of its own."""
    home = up.home
    given = {"TOWPATH_DATA_DIR": str(home.path / name), "TOWPATH_RUNNER_ID": "twin", **LEASE, **env}
    return home.start("runner", "--root", home.path, *options, **given)


def shown(up: Up) -> Json:
    found = [one for one in up.get("/runners")["items"] if one["id"] == "twin"]
    assert found, "no heartbeat yet"
    return found[0]


async def test_over_nats_both_work_and_everybody_is_told(home: Home) -> None:
    up = home.up(**LEASE)
    password = (home.path / ".towpath" / "nats-runner-password").read_text().strip()
    nats = {
        "TOWPATH_NATS_URL": f"nats://127.0.0.1:{up.nats_port}",
        "TOWPATH_NATS_USER": "runner",
        "TOWPATH_NATS_PASSWORD": password,
    }
    twins = [runner(up, name, **nats, TOWPATH_POOLS=name) for name in ("one", "two")]
    slow = ["sh", "-c", "sleep 10; echo done"]  # several times lease and grace
    tasks = [up.create(slow, pool=name) for name in ("one", "two")]
    found = await eventually(lambda: len(shown(up)["conflict"]) == 2 and shown(up), DEADLINE)
    assert len({one["instance"] for one in found["conflict"]}) == 2
    said = "conflict: another runner says it is this one"
    await eventually(lambda: all(said in twin.words for twin in twins), DEADLINE)
    told = up.towpath("runners")
    assert "conflict: several runners have the id twin" in told.stderr
    assert "several runners have this id" in _doctor(up)
    for task_id in tasks:
        done = await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
        assert (done["status"], done["output_tail"]) == ("succeeded", "done\n")

    kept, lost = (up.create(["sleep", "600"], pool=name) for name in ("one", "two"))
    await eventually(lambda: [up.task(one)["status"] for one in (kept, lost)] == ["running"] * 2, DEADLINE)
    twins[1].kill()
    done = await eventually(lambda: up.ended(lost), DEADLINE)
    assert (done["status"], done["reason"]) == ("failed", "runner-lost")
    assert up.task(kept)["status"] == "running"
    assert [server.interrupt() for server in (twins[0], up.server)] == [0, 0]


async def test_over_http_the_second_is_refused_and_says_why(home: Home) -> None:
    port = free_port()
    up = home.up(HOST_RUNNER_URL=f"http://127.0.0.1:{port}", **LEASE)
    common = ("--no-nats", "--api-url", up.url, "--listen")
    first = runner(up, "one", *common, f"127.0.0.1:{port}")
    await eventually(lambda: shown(up)["state"] == "alive", DEADLINE)
    task_id = up.create(["sh", "-c", "sleep 8; echo done"])
    await eventually(lambda: up.task(task_id)["status"] == "running", DEADLINE)
    second = runner(up, "two", *common, f"127.0.0.1:{free_port()}")
    await eventually(lambda: "409 runner-id-taken" in second.words, DEADLINE)
    done = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert (done["status"], done["output_tail"]) == ("succeeded", "done\n")
    assert shown(up)["conflict"] == []
    instance = shown(up)["instance"]
    first.kill()  # the id is free once it is lost
    await eventually(lambda: shown(up)["instance"] not in (None, instance), DEADLINE)
    assert [server.interrupt() for server in (second, up.server)] == [0, 0]


def _doctor(up: Up) -> str:
    where = ("--data-dir", up.data_dir, "--nats-port", up.nats_port)
    return up.towpath("doctor", *where, "-o", "json").stdout
