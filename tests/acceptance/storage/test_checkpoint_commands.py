"""`towpath checkpoint …` on a log that grows: kept elsewhere, its key replaced, verified with both keys."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from typing import Any

import httpx

from infra.errors.exit_codes import Exit
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

OFTEN = {"TOWPATH_CHECKPOINT_EVENTS": "4", "TOWPATH_CHECKPOINT_SECONDS": "1"}


class Auditor:
    """The commands against one running installation."""

    def __init__(self, home: Home, up: Up) -> None:
        self.home = home
        self.where = ("--data-dir", up.data_dir, "--nats-port", up.nats_port)

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        done = self.home.run(*arguments, *self.where)
        return done.returncode, done.stdout, done.stderr

    def listed(self) -> list[dict[str, Any]]:
        code, out, err = self.run("checkpoint", "list", "-o", "json")
        assert code == 0, err
        found: list[dict[str, Any]] = json.loads(out)
        return found

    def exported(self, file: str, *options: str) -> list[dict[str, Any]]:
        code, _, err = self.run("checkpoint", "export", file, *options)
        assert code == 0, err
        return [json.loads(line) for line in (self.home.path / file).read_text().splitlines()]

    def verified(self, *options: str) -> dict[str, Any]:
        code, out, err = self.run("verify", "-o", "json", *options)
        report: dict[str, Any] = json.loads(out)
        assert (code == 0) == report["ok"], err
        return report


def _up_to(checkpoints: list[dict[str, Any]], last: int) -> list[dict[str, Any]]:
    return checkpoints if checkpoints and checkpoints[-1]["last_seq"] >= last else []


async def sealed(up: Up, auditor: Auditor) -> list[dict[str, Any]]:
    """Three more tasks, and the checkpoints once they cover them."""
    for _ in range(3):
        task = up.create(["true"])
        await eventually(lambda task=task: up.ended(task), DEADLINE)
    last = up.events()[-1]["seq"]
    return await eventually(lambda: _up_to(auditor.listed(), last), DEADLINE)


async def test_the_key_is_replaced_and_everything_stays_verifiable(home: Home) -> None:
    up = home.up(**OFTEN)
    auditor = Auditor(home, up)
    before = await sealed(up, auditor)
    head, *lines = auditor.exported("first.jsonl")
    assert [one["number"] for one in lines] == [one["number"] for one in before]
    ((old_id, old),) = head["public_keys"].items()
    assert {one["key_id"] for one in before} == {old_id}

    seed = (up.data_dir / "checkpoint-key").read_text().strip()
    rotated = home.run("checkpoint", "rotate-key", "--data-dir", up.data_dir)
    assert rotated.returncode == 0, rotated.stderr
    new = rotated.stdout.strip()
    assert len(bytes.fromhex(new)) == 32
    assert "restart" in rotated.stderr
    kept = up.data_dir / "checkpoint-key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().splitlines()[1:] == [f"public:{old}"]
    assert seed not in kept.read_text()

    assert up.server.interrupt() == 0
    up = home.up(**OFTEN)
    auditor = Auditor(home, up)
    after = await sealed(up, auditor)
    assert after[: len(before)] == before
    (new_id,) = {one["key_id"] for one in after[len(before) :]}
    assert new_id != old_id

    for trusted in ((), ("--public-key", old, "--public-key", new)):
        report = auditor.verified(*trusted)
        assert (report["ok"], report["covered_upto"]) == (True, after[-1]["last_seq"]), report
    for trusted, bad in ((new, before[0]), (old, after[len(before)])):
        report = auditor.verified("--public-key", trusted)
        assert report["first_bad_seq"] == bad["first_seq"], report
        assert "not trusted" in report["sentence"]

    number = before[-1]["number"]
    head, *later = auditor.exported("later.jsonl", "--after", str(number))
    assert head["public_keys"] == {old_id: old, new_id: new}
    assert [one["number"] for one in later] == [one["number"] for one in after[len(before) :]]
    for file in ("first.jsonl", "later.jsonl"):
        assert auditor.verified("--checkpoints", file)["ok"]
    code, out, err = auditor.run("checkpoint", "export", "-", "--after", str(number))
    assert (code, out) == (0, (home.path / "later.jsonl").read_text()), err

    root = later[0]["root"]
    forged = (home.path / "later.jsonl").read_text().replace(root, root[::-1])
    (home.path / "forged.jsonl").write_text(forged)
    report = auditor.verified("--checkpoints", "forged.jsonl")
    assert not report["ok"]
    assert f"checkpoint {later[0]['number']} is not valid: its signature" in report["sentence"]

    head, *none = auditor.exported("none.jsonl", "--after", "1000")
    assert none == []
    code, out, _ = auditor.run("verify", "--checkpoints", "none.jsonl")
    assert (code, "holds no checkpoint" in out, "the log is whole" in out) == (1, True, False), out
    assert not auditor.verified("--checkpoints", "none.jsonl")["ok"]
    code, out, _ = auditor.run("verify", "--checkpoints", "first.jsonl")
    covered = (
        f"vouch for events 1 to {before[-1]['last_seq']}, not for events {before[-1]['last_seq'] + 1} to "
    )
    assert (code, covered in out) == (0, True), out
    assert (
        f"none behind number 1000: there are {len(after)}"
        in auditor.run("checkpoint", "export", "none.jsonl", "--after", "1000")[2]
    )
    assert up.server.interrupt() == 0


async def test_another_installations_checkpoints_are_not_this_logs(home: Home) -> None:
    up = home.up(**OFTEN)
    auditor = Auditor(home, up)
    await sealed(up, auditor)
    auditor.exported("kept.jsonl")
    assert up.server.interrupt() == 0
    (home.path / "other").mkdir()
    again = home.up("--data-dir", home.path / "other", **OFTEN)
    other = Auditor(home, again)
    await sealed(again, other)
    report = other.verified("--checkpoints", "kept.jsonl")
    assert (report["ok"], report["first_bad_seq"]) == (False, 1)
    assert "exported checkpoint 1" in report["sentence"]
    assert again.server.interrupt() == 0


def test_a_key_from_the_environment_is_replaced_there(home: Home) -> None:
    ended = home.run("checkpoint", "rotate-key", TOWPATH_CHECKPOINT_KEY="ab" * 32)
    assert ended.returncode == 2
    assert "TOWPATH_CHECKPOINT_KEY" in ended.stderr
    assert not (home.path / ".towpath" / "checkpoint-key").exists()


async def test_a_verification_is_recorded_with_who_when_and_what(home: Home) -> None:
    roles = ("viewer", "auditor", "operator")
    entries = ",".join(f"{role}=my-{role}:token-of-the-{role}" for role in roles)
    up = home.up(**OFTEN, TOWPATH_API_TOKENS=entries)
    auditor = Auditor(home, up)
    headers = {role: {"Authorization": f"Bearer token-of-the-{role}"} for role in roles}
    task = {"command": ["true"]}
    httpx.post(f"{up.url}/tasks", json=task, headers=headers["operator"], timeout=30).raise_for_status()
    verify = ("verify", "--record", *auditor.where, "--url", up.url)

    forbidden = home.run(*verify, TOWPATH_TOKEN="token-of-the-viewer")
    assert (forbidden.returncode, forbidden.stdout) == (Exit.NOT_ALLOWED, ""), "before anything is read"
    assert "auditor" in forbidden.stderr

    done = home.run(*verify, TOWPATH_TOKEN="token-of-the-auditor")
    assert done.returncode == 0, done.stderr
    assert "recorded as verification 1 by auditor:my-auditor" in done.stderr
    (kept,) = httpx.get(f"{up.url}/verifications", headers=headers["auditor"], timeout=30).json()["items"]
    assert (kept["ok"], kept["by"], kept["events"]) == (True, "auditor:my-auditor", 1)
    assert kept["command"] == f"towpath verify --data-dir {up.data_dir} --record"
    assert kept["host"] == socket.gethostname()

    offline = home.run("verify", "--record", *auditor.where, "--url", f"http://127.0.0.1:{free_port()}")
    assert (offline.returncode, offline.stdout) == (Exit.ERROR, "")
