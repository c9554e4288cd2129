"""`towpath up` with its embedded nats-server, and beside it one more of each process, on one machine.

What `up` has started it also starts again; `up` itself is killed, too. The second projector and the second
API work on PostgreSQL, as do two notifiers. Links are ports on loopback.
"""

from __future__ import annotations

from tests.chaos.clients.receiver import Receiver
from tests.chaos.deployments.harness import Harness, Machine
from tests.chaos.faults.http_proxy import HttpProxy
from tests.chaos.machines.network import Host, PortLink
from tests.chaos.machines.processes import Child, Process, children_of, command_of

NATS_PORT, API_PORT, OTHER_API_PORT, PROXY_PORT, HOOK_PORT = 4222, 8000, 8010, 8001, 9000
STORE_MEGABYTES, STATE_MEGABYTES = 8192, 1024
PARTS = ("api", "locks", "projector", "runner")
LOCAL = "127.0.0.1"
CHILD_KINDS = {"api": "api", "locks": "projector", "projector": "projector", "runner": "runner"}


def single_node(harness: Harness) -> None:
    """Make processes; nothing is started."""
    here, data = Host("here", LOCAL), harness.directory / "up"
    roots = harness.workspace_roots()
    for number, port in ((1, API_PORT), (2, OTHER_API_PORT)):
        proxy = HttpProxy(f"proxy{number}", (LOCAL, PROXY_PORT + number), (LOCAL, port), harness.history)
        harness.proxies.append(proxy)
        harness.apis[f"api{number}"] = f"http://{LOCAL}:{port}"
    harness.nats_urls = [f"nats://{LOCAL}:{NATS_PORT}"]
    harness.models = {"sqlite": f"sqlite:///{data}/read-model.db", "postgres": harness.postgres}
    env = harness.environment(
        "up",
        TOWPATH_PORT=str(API_PORT),
        TOWPATH_NATS_PORT=str(NATS_PORT),
        TOWPATH_ROOTS=str(roots),
        TOWPATH_POOLS="work,more",
        TOWPATH_RUNNER_ID="run1",
        API_RUNNER_CALLBACK_BASE_URL=harness.proxies[0].url,
    )
    up = harness.process("up", "up", ["up"], env, here)
    harness.disk("store", data, STORE_MEGABYTES, up)
    harness.runner_states["run1"] = data / "runner"
    family = Family(up)
    for name in PARTS:
        harness.parts.append(Child(CHILD_KINDS[name], f"up/{name}", lambda name=name: family.pid(name)))
    harness.parts.append(Child("nats", "up/nats", family.nats))
    _beside(harness, roots, here)
    for proxy in harness.proxies:
        harness.lock_place(here, proxy.url)
    every = tuple(disk for disk, _ in harness.disks)
    harness.machines.append(Machine("here", "machine", tuple(harness.parts), every))
    harness.links = {
        "all–nats": [PortLink("nats", NATS_PORT)],
        "clients–api": [PortLink("api1", API_PORT), PortLink("api2", OTHER_API_PORT)],
    }


def _beside(harness: Harness, roots: object, here: Host) -> None:
    """The second API and projector, notifiers, and two runners: clients of the embedded server."""
    data = harness.directory / "up"
    nats = {"TOWPATH_NATS_URL": harness.nats_urls[0]}
    second = harness.environment(
        "control2",
        TOWPATH_PORT=str(OTHER_API_PORT),
        TOWPATH_DATABASE_URL=harness.postgres,
        API_RUNNER_CALLBACK_BASE_URL=harness.proxies[1].url,
        **nats,
    )
    for kind, name in (("api", "api2"), ("projector", "proj2")):
        env = {**second, "CHAOS_NATS_PASSWORD_FILE": str(data / "nats-password")}
        _with_password(harness.process(kind, name, [kind], env, here), "towpath")
    harness.receivers.append(Receiver((LOCAL, HOOK_PORT), harness.history))
    for name in ("note1", "note2"):
        env = harness.environment(
            f"data-{name}", CHAOS_NATS_PASSWORD_FILE=str(data / "nats-password"), **nats
        )
        _with_password(harness.notifier(name, here, env), "towpath")
    for number in (2, 3):
        name, state = f"run{number}", harness.directory / f"run{number}"
        harness.runner_states[name] = state
        env = harness.environment(
            f"data-{name}",
            TOWPATH_ROOTS=str(roots),
            TOWPATH_POOLS="work",
            TOWPATH_RUNNER_ID=name,
            TOWPATH_RUNNER_STATE_DIR=str(state),
            TOWPATH_URL=harness.proxies[0].url,
            CHAOS_NATS_PASSWORD_FILE=str(data / "nats-runner-password"),
            **nats,
        )
        process = harness.process("runner", name, ["runner"], env, here)
        _with_password(process, "runner")
        harness.disk(name, state, STATE_MEGABYTES, process)


def _with_password(process: Process, user: str) -> None:
    """Let a shell read the password that `towpath up` made, and become the program."""
    script = (
        'until [ -s "$CHAOS_NATS_PASSWORD_FILE" ]; do sleep 0.2; done; '
        'TOWPATH_NATS_PASSWORD=$(cat "$CHAOS_NATS_PASSWORD_FILE") exec "$@"'
    )
    process.command[:0] = ["env", f"TOWPATH_NATS_USER={user}", "sh", "-c", script, "chaos"]


class Family:
    """Finds which child of `towpath up` is which part: forked in the order of PARTS, and later as it says."""

    def __init__(self, up: Process) -> None:
        self._up = up
        self._parent: int | None = None
        self._known: dict[str, int] = {}

    def nats(self) -> int | None:
        """The embedded nats-server."""
        return next((pid for pid in self._children() if _is_nats(pid)), None)

    def pid(self, name: str) -> int | None:
        """A part, if it runs."""
        forked = [pid for pid in self._children() if not _is_nats(pid)]
        if self._up.pid != self._parent:
            self._parent, self._known = self._up.pid, {}
        if not self._known:
            if len(forked) < len(PARTS):
                return None
            self._known = dict(zip(PARTS, forked, strict=False))
        new = [pid for pid in forked if pid not in self._known.values()]
        for part in [part for part, pid in self._known.items() if pid not in forked]:
            if not new:
                break
            self._known[part] = new.pop(0)
        found = self._known[name]
        return found if found in forked else None

    def _children(self) -> list[int]:
        return children_of(self._up.pid) if self._up.pid is not None else []


def _is_nats(pid: int) -> bool:
    return any("nats-server" in word for word in command_of(pid)[:6])
