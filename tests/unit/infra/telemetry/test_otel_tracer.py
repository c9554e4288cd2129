"""Off unless configured: what makes a tracer, and that nothing of OpenTelemetry is there without one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.config.settings import load_settings
from infra.telemetry.otel_tracer import open_tracer

COLLECTOR = "http://127.0.0.1:4318"
_BARE = """
import sys
import fastapi  # brings opentelemetry-api
before = {name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf"))}
import api.app, api.reports.nats_intake, infra.composition, runner.service
import infra.runtime.processes, infra.runtime.up
from infra.config.settings import load_settings
from infra.telemetry.otel_tracer import open_tracer
assert open_tracer(load_settings(), "towpath-api") is None
after = {name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf"))}
print(sorted(after - before))
"""
_RUNNER = """
import sys
import runner.service, infra.runtime.processes
from infra.config.settings import load_settings
from infra.telemetry.otel_tracer import open_tracer
assert open_tracer(load_settings(), "towpath-runner") is None
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf"))))
"""
_WITHOUT_THE_EXTRA = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from infra.config.settings import SettingsError, load_settings
from infra.telemetry.otel_tracer import open_tracer
try:
    open_tracer(load_settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9"), "towpath-api")
except SettingsError as error:
    print(error)
"""


@pytest.mark.parametrize("hidden", ["opentelemetry", "opentelemetry.exporter"])
def test_without_the_extra_it_says_what_to_install(hidden: str) -> None:
    program = f"HIDDEN = {hidden!r}\n{_WITHOUT_THE_EXTRA}"
    ended = subprocess.run(
        [sys.executable, "-c", program], env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ("pip install 'towpath[otel]'" in ended.stdout, ended.stderr) == (True, "")


@pytest.mark.parametrize("program", [_BARE, _RUNNER], ids=["all parts", "a runner"])
def test_off_means_that_nothing_is_imported(program: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program], env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, None),
        ({"otel_traces_exporter": "otlp"}, None),
        ({"otel_exporter_otlp_endpoint": COLLECTOR}, f"{COLLECTOR}/v1/traces"),
        ({"otel_exporter_otlp_endpoint": f"{COLLECTOR}/base/"}, f"{COLLECTOR}/base/v1/traces"),
        (
            {
                "otel_exporter_otlp_endpoint": COLLECTOR,
                "otel_exporter_otlp_traces_endpoint": f"{COLLECTOR}/x",
            },
            f"{COLLECTOR}/x",
        ),
        ({"otel_exporter_otlp_endpoint": COLLECTOR, "otel_sdk_disabled": "TRUE"}, None),
        ({"otel_exporter_otlp_endpoint": COLLECTOR, "otel_traces_exporter": "none"}, None),
        ({"otel_exporter_otlp_endpoint": COLLECTOR, "otel_sdk_disabled": "false"}, f"{COLLECTOR}/v1/traces"),
    ],
)
def test_an_endpoint_turns_it_on(given: dict[str, str], url: str | None) -> None:
    settings = load_settings(**given)
    assert (settings.otel_url if settings.tracing else None) == url


def test_spans_name_their_parent_and_only_that() -> None:
    tracer = open_tracer(load_settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9"), "ours")
    assert tracer is not None
    root = tracer.start("one", "internal", None, {})
    child = tracer.start("two", "internal", root.traceparent, {})
    unsampled = tracer.start("three", "internal", f"00-{'a' * 32}-{'b' * 16}-00", {})
    assert root.traceparent.split("-")[1] == child.traceparent.split("-")[1] != "a" * 32
    assert root.traceparent.split("-")[2] != child.traceparent.split("-")[2]
    assert unsampled.traceparent.startswith(f"00-{'a' * 32}-")
    assert unsampled.traceparent.endswith("-00")
