"""An installation with all that pages show: each state of a task, locks, waiters, a lost runner."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.support.towpath import DEADLINE, Server, Up
from tests.support.waiting import until

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> \u202egnp.exe \u001b[31mred"
"""A title that tries to be markup, to run backwards, and to colour a terminal."""
LEASE = {"TOWPATH_LEASE_SECONDS": "10", "TOWPATH_LEASE_GRACE_SECONDS": "2"}
"""For an installation whose second runner is to be lost soon, and no other one of a busy machine."""
SECOND = "batch"
CAPACITY = {"TOWPATH_RUNNER_CAPACITY": "16"}

_OUTPUT = r"""
printf 'collecting \033[1mtests\033[0m … 212 items\n'
for part in api web locks runner; do printf 'tests/%s \033[32mpassed\033[0m in 0.4 s\n' $part; done
printf '\033[31mFAILED\033[0m tests/locks/test_release.py: <b>free</b> or held? \342\200\256gnp.exe\007\n'
exit 3"""


class Receivers:
    """Two receivers of webhooks: `/ops` takes all, `/pager` nothing until `taken` holds it."""

    def __init__(self) -> None:
        self.taken = {"/ops"}
        self.got: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                taken = self.path in outer.taken
                self.send_response(204 if taken else 410)
                self.end_headers()
                if taken:
                    outer.got.append(self.path)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextlib.contextmanager
def receiving(home: Path) -> Iterator[tuple[Receivers, dict[str, str]]]:
    """Receivers, and the settings of an installation whose notifier tells them."""
    receivers = Receivers()
    base = f"http://127.0.0.1:{receivers.server.server_port}"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    text = ""
    for name, events in (("ops", '["failed", "asked"]'), ("pager", '["failed"]')):
        text += f'[[channel]]\nname = "{name}"\nkind = "webhook"\nurl = "{base}/{name}"\n'
        text += f'secret = "{secret}"\nallow = ["127.0.0.1"]\n'
        text += f'[[rule]]\nchannel = "{name}"\nevents = {events}\n'
    file = home / "notify.toml"
    file.write_text(text)
    file.chmod(0o600)
    threading.Thread(target=receivers.server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield receivers, {"TOWPATH_NOTIFY": str(file)}
    finally:
        receivers.server.shutdown()
        receivers.server.server_close()


@dataclass(frozen=True)
class Lively:
    """`tasks`: ids by name. `past`: a position at which the first tasks ran and waited."""

    up: Up
    tasks: dict[str, str]
    past: int


def lively(up: Up) -> Lively:
    """Fill `up` with workspaces and tasks in every state; its notifier is that of `receiving`."""
    until(lambda: up.get("/notices/channels")["channels"], DEADLINE)
    for workspace in ("shop", "web", "docs-site"):
        up.workspace(workspace)
    ids: dict[str, str] = {}

    def task(name: str, command: list[str], title: str | None = None, **spec: Any) -> None:
        ids[name] = up.create(command, title=title or name, **spec)

    def claim(workspace: str, *paths: str) -> dict[str, Any]:
        return {"workspace": workspace, "lock_paths": list(paths)}

    sleep = ["sleep", "3600"]
    task("succeeded", ["sh", "-c", "echo built 14 files; sleep .2"], "compile assets", **claim("web", "dist"))
    until(lambda: up.ended(ids["succeeded"]), DEADLINE)
    task("build", sleep, "build", labels={"team": "web", "branch": "main"}, **claim("shop", "src"))
    task("docs", sleep, "spell check of the handbook", lock_mode="shared", **claim("shop", "docs"))
    task("shared", sleep, "links of the handbook", lock_mode="shared", **claim("shop", "docs"))
    until(lambda: len(up.holders()) == 3, DEADLINE)
    task("test", ["true"], "integration tests", **claim("shop", "src/api"))
    task("lint", ["true"], "lint", **claim("shop", "src/api", "docs"))
    past = int(up.events()[-1]["seq"])
    task("hostile", sleep, HOSTILE, **claim("web", "dist/<b>x</b>/\u202egnp"))
    task("long", ["true"], "L" * 490, **claim("web", "dist"))
    task("failed", ["sh", "-c", _OUTPUT], "unit tests", labels={"<b>x</b>": HOSTILE, "team": "api"})
    task(
        "retrying",
        ["false"],
        "deploy to staging",
        retry={"max_attempts": 3, "backoff_seconds": 3600, "on": ["exit"]},
    )
    task(
        "asking",
        ["sh", "-c", 'towpath ask "Deploy <b>4.2</b> to production?" --choice yes --choice no'],
        "release 4.2",
    )
    task("canceled", sleep, "nightly crawl")
    task("idle", ["make", "report"], "quarterly report", dispatch=False)
    until(lambda: up.task(ids["canceled"])["status"] == "running", DEADLINE)
    up.post(f"/tasks/{ids['canceled']}/cancel", {"reason": "superseded by the weekly one"})
    for name in ("failed", "canceled"):
        until(lambda name=name: up.ended(ids[name]), DEADLINE)  # type: ignore[misc]
    until(lambda: up.task(ids["asking"])["question"], DEADLINE)
    until(lambda: up.task(ids["retrying"])["next_attempt_at"], DEADLINE)
    until(lambda: up.get("/notices?state=dead")["items"], DEADLINE)
    up.post("/verifications", {"ok": True, "events": past, "command": "towpath verify", "host": "laptop"})
    return Lively(up, ids, past)


def second_runner(up: Up, **settings: str) -> Server:
    """A runner `host-2`, which can be stopped and killed; its pool is SECOND."""
    env = {
        "TOWPATH_NATS_URL": up.nats_url,
        "TOWPATH_NATS_USER": "runner",
        "TOWPATH_NATS_PASSWORD": (up.data_dir / "nats-runner-password").read_text().strip(),
        "TOWPATH_DATA_DIR": str(up.home.path / "host-2"),
        "TOWPATH_RUNNER_ID": "host-2",
        "TOWPATH_POOLS": SECOND,
    }
    return up.home.start("runner", "--root", up.home.path, **env, **settings)


def lost_runner(up: Up) -> Server:
    """A runner `host-2` that died while its task held a lock, which is kept for an operator. Needs LEASE."""
    root = up.home.path / "legacy"
    root.mkdir()
    body = {"root": str(root), "on_runner_lost": "hold"}
    httpx.put(f"{up.url}/workspaces/legacy", json=body, timeout=30).raise_for_status()
    runner = second_runner(up, **LEASE)
    claim = {"workspace": "legacy", "lock_paths": ["data"], "pool": SECOND}
    task = up.create(["sleep", "3600"], title="import of the old orders", **claim)
    until(lambda: up.task(task)["status"] == "running", DEADLINE)
    runner.kill()
    until(lambda: any(one["state"] == "lost" for one in up.get("/runners")["items"]), DEADLINE)
    return runner
