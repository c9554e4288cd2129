"""What an operator does to an installation: rebuild, examine, open to others, try out."""

from __future__ import annotations

import json
from pathlib import Path

from infra.nats.stream_definitions import stream_definitions
from tests.support.nats import CLIENT, StartNats, api, connect
from tests.support.towpath import DEADLINE, Home, Json, Up
from tests.support.waiting import eventually

TOKENS = "viewer:see-only-token-1,operator:operate-token-22,admin:admin-token-3333"


def _read_model(up: Up) -> dict[str, Json]:
    return {task["id"]: task for task in up.get("/tasks", limit=200)["items"]}


async def test_the_read_model_is_rebuilt_from_the_log_and_the_doctor_finds_nothing(home: Home) -> None:
    up = home.up()
    where = ("--data-dir", up.data_dir, "--nats-port", up.nats_port)
    fresh = home.run("doctor", *where, "-o", "json")
    assert fresh.returncode == 0, fresh.stdout
    findings = json.loads(fresh.stdout)
    wrong = [finding["check"] for finding in findings if finding["state"] != "ok"]
    assert wrong == (["nats client"] if CLIENT == "plain" else []), fresh.stdout
    assert len(findings) > 8

    up.workspace("shop")
    tasks = [
        up.create(command, workspace="shop", lock_paths=[path])
        for command in (["true"], ["false"], ["no-such-program"])
        for path in ("src", "docs")
    ]
    for task_id in tasks:
        await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
    await eventually(
        lambda: {one["lock"]["state"] for one in _read_model(up).values()} == {"released"}, DEADLINE
    )
    before = _read_model(up)

    rebuilt = home.run("replay", "--rebuild", *where)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "read model rebuilt" in rebuilt.stdout
    await eventually(lambda: _read_model(up) == before, DEADLINE)
    another = up.create(["true"])
    await eventually(lambda: _read_model(up).get(another, {}).get("status") == "succeeded", DEADLINE)
    before = _read_model(up)
    checked = home.run("replay", *where, "-o", "json")
    assert checked.returncode == 0, checked.stderr
    found = json.loads(checked.stdout)
    assert (found["rebuilt"], found["events"], found["locks_held"]) == (False, len(up.events()), 0)
    assert up.server.interrupt() == 0

    for file in up.data_dir.glob("read-model.db*"):
        file.unlink()
    up = home.up()
    await eventually(lambda: _read_model(up) == before, DEADLINE)
    assert up.server.interrupt() == 0


def test_an_open_address_needs_tokens(home: Home) -> None:
    refused = home.run("up", "--host", "0.0.0.0", "--port", "0", "--nats-port", "0")
    assert refused.returncode == 2
    assert "TOWPATH_API_TOKENS" in refused.stderr
    assert home.processes() == []


async def test_a_log_that_may_forget_is_refused_and_said_once(home: Home, start_nats: StartNats) -> None:
    server = start_nats()
    control = {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
    }
    connection = await connect(server.control_url)
    wanted = next(one.config() for one in stream_definitions() if one.name == "TOWPATH")
    made = await api(connection, "STREAM.CREATE.TOWPATH", {**wanted, "discard": "old"})
    assert "error" not in made
    await connection.close()

    refused = home.run("up", "--port", "0", **control)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith('towpath: stream TOWPATH: discard is "old", must be "new". ')
    assert refused.stderr.count("\n") == 1


def test_roles_are_enforced_through_the_command(home: Home) -> None:
    up = home.up("--host", "0.0.0.0", TOWPATH_API_TOKENS=TOKENS)
    nobody = up.towpath("tasks")
    assert nobody.returncode == 4
    assert "TOWPATH_TOKEN" in nobody.stderr
    assert up.towpath("tasks", TOWPATH_TOKEN="a-wrong-one").returncode == 4

    viewer, operator, admin = ({"TOWPATH_TOKEN": entry.split(":")[1]} for entry in TOKENS.split(","))
    assert up.towpath("tasks", **viewer).returncode == 0
    refused = up.towpath("run", "--", "true", **viewer)
    assert refused.returncode == 4
    assert "operator" in refused.stderr
    done = up.towpath("run", "--", "echo", "done", **operator)
    assert (done.returncode, done.stdout) == (0, "done\n")
    task_id = up.told("tasks", **viewer)[0]["id"]
    assert up.towpath("trail", task_id, **viewer).returncode == 4
    trail = up.told("trail", task_id, **operator)
    assert trail[0]["actor"].startswith("operator:")
    assert "operate-token" not in json.dumps(trail)
    assert up.towpath("workspaces", "add", "shop", home.path, **viewer).returncode == 4
    assert up.towpath("workspaces", "add", "shop", home.path, **operator).returncode == 0
    assert up.towpath("workspaces", "remove", "shop", **operator).returncode == 4
    assert up.towpath("workspaces", "remove", "shop", **admin).returncode == 0
    assert up.server.interrupt() == 0


def test_the_demo_ends_well_and_leaves_nothing_behind(home: Home, tmp_path: Path) -> None:
    shown = home.run("demo", TMPDIR=str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    for title in ("build", "test", "package", "docs", "lint", "broken", "endless", "nobody"):
        assert title in shown.stdout
    assert home.processes() == []
    assert list(tmp_path.iterdir()) == []


def test_the_demo_also_runs_on_a_nats_of_ones_own_and_keeps_the_contract(
    home: Home, start_nats: StartNats
) -> None:
    """It ends a NATS that it started itself before anybody could listen; here a listener waits."""
    server = start_nats()
    control = {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.control.user,
        "TOWPATH_NATS_PASSWORD": server.control.password or "",
    }
    shown = home.run("demo", **control)
    assert shown.returncode == 0, shown.stderr
