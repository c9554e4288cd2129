"""Three nats-servers, two APIs, projectors and notifiers, three runners: each on a host of its own.

One API and one projector work on SQLite, the others on PostgreSQL. Two runners take from NATS, the third is
pushed to over HTTP. Clients and callbacks go through HTTP proxies of the run.
"""

from __future__ import annotations

from pathlib import Path

from infra.nats.accounts import accounts_block
from infra.nats.binary import find_nats_server
from tests.chaos.clients.receiver import Receiver
from tests.chaos.deployments.harness import Harness, Machine
from tests.chaos.faults.http_proxy import HttpProxy
from tests.chaos.machines.network import Host, HostLink, Network
from tests.chaos.machines.processes import Process

NATS_PORT, ROUTE_PORT, API_PORT, RUNNER_PORT, PROXY_PORT, HOOK_PORT = 4222, 6222, 8000, 8100, 8000, 9000
PASSWORDS = {"towpath": "chaos-control", "runner": "chaos-runner"}
STORE_MEGABYTES, STATE_MEGABYTES = 8192, 1024


def three_nodes(harness: Harness) -> None:
    """Make hosts and processes; nothing is started."""
    network = Network()
    nodes = [_node(harness, network, number) for number in range(1, 4)]
    every = list(harness.machines)
    harness.machines.append(
        Machine(
            "all nodes",
            "all nats",
            tuple(part for machine in every for part in machine.parts),
            tuple(disk for machine in every for disk in machine.disks),
        )
    )
    harness.nats_urls = [f"nats://{host.address}:{NATS_PORT}" for host in nodes]
    for number, host in enumerate(nodes, start=1):
        _configure(harness, f"n{number}", host, nodes)
    harness.control = {"user": "towpath", "password": PASSWORDS["towpath"]}
    roots = harness.workspace_roots()
    harness.models = {"sqlite": f"sqlite:///{harness.directory}/sqlite.db", "postgres": harness.postgres}
    pairs = list(harness.models.items())
    hosts = {name: network.host(name) for name in ("api1", "api2", "proj1", "proj2", "run1", "run2", "run3")}
    for number, (model, _) in enumerate(pairs, start=1):
        _control_plane(harness, number, model, network.clients, hosts)
    for number in range(1, 4):
        _runner(harness, number, roots, hosts, network.clients)
    hosts |= {name: network.host(name) for name in ("note1", "note2")}
    harness.receivers.append(Receiver((network.clients.address, HOOK_PORT), harness.history))
    for name in ("note1", "note2"):
        harness.notifier(name, hosts[name], _control_environment(harness, f"data-{name}"))
    lockers = [network.host(name) for name in ("lock1", "lock2")]
    for locker, proxy in zip(lockers, harness.proxies, strict=True):
        harness.lock_place(locker, proxy.url)
    harness.links = {
        "nats–nats": [HostLink(host, [other for other in nodes if other != host]) for host in nodes],
        "nats–all": [HostLink(host, [o for o in network.hosts.values() if o != host]) for host in nodes],
        "api–nats": [HostLink(hosts[name], nodes) for name in ("api1", "api2")],
        "projector–nats": [HostLink(hosts[name], nodes) for name in ("proj1", "proj2")],
        "notifier–nats": [HostLink(hosts[name], nodes) for name in ("note1", "note2")],
        "notifier–all": [HostLink(hosts["note1"], [o for o in network.hosts.values() if o.name != "note1"])],
        "runner–nats": [HostLink(hosts[name], nodes) for name in ("run1", "run2", "run3")],
        "runner–all": [
            HostLink(hosts[name], [o for o in network.hosts.values() if o.name != name])
            for name in ("run1", "run2", "run3")
        ],
        "locks–api": [HostLink(locker, [network.clients]) for locker in lockers],
        "clients–api": [HostLink(hosts[name], [network.clients]) for name in ("api1", "api2")],
        "projector–runner": [HostLink(hosts["run3"], [hosts["proj1"], hosts["proj2"]])],
    }


def _node(harness: Harness, network: Network, number: int) -> Host:
    host = network.host(f"n{number}")
    name = f"n{number}"
    config = harness.directory / f"{name}.conf"
    command = [str(find_nats_server()), "-c", str(config)]
    process = Process("nats", name, command, {}, host, harness.directory, harness.history)
    harness.parts.append(process)
    disk = harness.disk(name, harness.directory / name, STORE_MEGABYTES, process)
    harness.machines.append(Machine(name, "nats", (process,), (disk,)))
    return host


def _configure(harness: Harness, name: str, host: Host, nodes: list[Host]) -> None:
    routes = ", ".join(f'"nats://{one.address}:{ROUTE_PORT}"' for one in nodes)
    (harness.directory / f"{name}.conf").write_text(
        f"""\
server_name: {name}
listen: "{host.address}:{NATS_PORT}"
jetstream {{ store_dir: "{harness.directory / name}", sync_interval: always }}
cluster {{ name: towpath, listen: "{host.address}:{ROUTE_PORT}", routes: [{routes}], no_advertise: true }}
{accounts_block(PASSWORDS["towpath"], PASSWORDS["runner"])}"""
    )


def _control_plane(harness: Harness, number: int, model: str, clients: Host, hosts: dict[str, Host]) -> None:
    api, projector = hosts[f"api{number}"], hosts[f"proj{number}"]
    listen = (clients.address, PROXY_PORT + number)
    proxy = HttpProxy(f"proxy{number}", listen, (api.address, API_PORT), harness.history)
    harness.proxies.append(proxy)
    harness.apis[api.name] = f"http://{api.address}:{API_PORT}"
    # one directory for both, since a file is what they share; with PostgreSQL nothing of it is used
    env = _control_environment(
        harness,
        f"control{number}",
        TOWPATH_DATABASE_URL=harness.models[model],
        TOWPATH_HOST=api.address,
        TOWPATH_PORT=str(API_PORT),
        API_RUNNER_CALLBACK_BASE_URL=proxy.url,
        HOST_RUNNER_URL=f"http://{hosts['run3'].address}:{RUNNER_PORT}",
    )
    harness.process("api", api.name, ["api"], env, api)
    harness.process("projector", projector.name, ["projector"], env, projector)


def _control_environment(harness: Harness, data_dir: str, **more: str) -> dict[str, str]:
    return harness.environment(
        data_dir,
        TOWPATH_NATS_URL=",".join(harness.nats_urls),
        TOWPATH_NATS_USER="towpath",
        TOWPATH_NATS_PASSWORD=PASSWORDS["towpath"],
        **more,
    )


def _runner(harness: Harness, number: int, roots: Path, hosts: dict[str, Host], clients: Host) -> None:
    name = f"run{number}"
    state = harness.directory / name
    harness.runner_states[name] = state
    env = harness.environment(
        f"data-{name}",
        TOWPATH_NATS_URL=",".join(harness.nats_urls),
        TOWPATH_NATS_USER="runner",
        TOWPATH_NATS_PASSWORD=PASSWORDS["runner"],
        TOWPATH_ROOTS=str(roots),
        TOWPATH_POOLS="work,more" if number == 1 else "work",
        TOWPATH_RUNNER_ID=name,
        TOWPATH_RUNNER_STATE_DIR=str(state),
        TOWPATH_URL=f"http://{clients.address}:{PROXY_PORT + 1}",
        API_RUNNER_CALLBACK_BASE_URL=f"http://{clients.address}:{PROXY_PORT + 2}",
    )
    if number == 3:
        env |= {"TOWPATH_POOLS": "pushed", "TOWPATH_RUNNER_HOST": hosts[name].address}
        env["TOWPATH_RUNNER_PORT"] = str(RUNNER_PORT)
        harness.pools = (*harness.pools, "default")
    process = harness.process("runner", name, ["runner"], env, hosts[name])
    disk = harness.disk(name, state, STATE_MEGABYTES, process)
    harness.machines.append(Machine(name, "runner", (process,), (disk,)))
