"""The wheel, installed beside a project that has packages `domain` and `adapters` of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.nats.embedded_server import EmbeddedNats
from nats_settings import Nats
from tests.support.repository import REPO
from tests.support.wheels import environment_of, run, top_level, wheel_of, write_project

PACKAGE = Path(__file__).parents[1]
SHOP = {
    "domain/__init__.py": "",
    "domain/order.py": """
from eventsourcing.domain import Aggregate, event


class Order(Aggregate):
    @event("Placed")
    def __init__(self, item: str):
        self.item, self.paid = item, False

    @event("Paid")
    def pay(self):
        self.paid = True
""",
    "adapters/__init__.py": "",
    "adapters/report.py": """
import json
import sys


def report(order, notifications):
    import eventsourcing_nats

    print(json.dumps({
        "paid": order.paid,
        "topics": [one.topic for one in notifications],
        "package": eventsourcing_nats.__file__,
        "towpath": sorted({"projections", "api", "runner", "infra"} & sys.modules.keys()),
    }))
""",
    "shop.py": """
from adapters.report import report
from domain.order import Order
from eventsourcing.application import Application

with Application() as shop:
    order = Order("a boat")
    order.pay()
    shop.save(order)
    report(shop.repository.get(order.id), shop.notification_log.select(1, 10))
""",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with this wheel; no test changes it."""
    directory = tmp_path_factory.mktemp("wheel")
    wheel = wheel_of(PACKAGE, directory / "dist")
    assert top_level(wheel) == {"eventsourcing_nats"}
    return environment_of(wheel, directory)


def test_an_application_beside_it_keeps_its_own_domain_and_adapters(
    environment: Path, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "shop", SHOP)
    for runs in (1, 2):
        settings = {**Nats(nats_server.control_url).settings(), "NATS_STREAM_PREFIX": "shop"}
        said = json.loads(run(environment, "shop.py", cwd=project, **settings))
        assert said["paid"] is True
        assert said["topics"] == ["domain.order:Order.Placed", "domain.order:Order.Paid"] * runs
        assert Path(said["package"]).is_relative_to(environment.parents[1])
        assert said["towpath"] == []


def test_it_is_typed_and_depends_on_the_library_and_the_client_alone(
    environment: Path, tmp_path: Path
) -> None:
    told = run(
        environment,
        "-c",
        "import importlib.metadata as m, importlib.resources as r\n"
        "print(*m.requires('eventsourcing-nats'), sep='\\n')\n"
        "print((r.files('eventsourcing_nats') / 'py.typed').is_file())",
        cwd=tmp_path,
    ).splitlines()
    assert [line.split("<")[0].split(">")[0] for line in told] == ["eventsourcing", "nats-py", "True"]
    assert all("<" in line for line in told[:-1]), "a dependency has no upper bound"


def test_the_wheel_of_the_repository_does_not_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_BUILD_WITHOUT_CONSOLE", "1")  # it needs Node
    names = top_level(wheel_of(REPO, tmp_path / "dist"))
    assert "domain" in names
    assert names & {"packages", "eventsourcing_nats", "tests"} == set()
