"""One or several API processes behind one port, forked from one that has imported everything.

They share its listener: the kernel gives a connection to one of those that accept. Each reads the whole log
and takes reports over NATS, as API processes on other hosts would.
"""

from __future__ import annotations

import signal
import socket
from functools import partial
from typing import TYPE_CHECKING

import structlog

from infra.config.settings import Settings
from infra.runtime.forked_parts import WATCH_SECONDS, ForkedParts
from infra.runtime.stop_signals import Wakeups, stop_signals
from infra.telemetry.otel_tracer import check_tracing, preload

if TYPE_CHECKING:
    from api.metrics.siblings import Siblings

API_NEEDS = ("api.app", "api.reports.nats_intake", "infra.composition", "infra.runtime.processes")
log = structlog.get_logger(__name__)


def run_api(settings: Settings) -> int:
    """Serve the HTTP API and take reports over NATS. Returns the exit code.

    Raises:
        CannotListen: the port is taken.
        CannotStart: one of several processes keeps dying.
    """
    from infra.runtime.processes import damaged, run, serve_api

    settings.check_api()
    check_tracing(settings)
    if damaged(settings):
        return 1
    return run(serve_api, settings) if settings.workers == 1 else _run_workers(settings)


def _run_workers(settings: Settings) -> int:
    from infra.runtime.http_server import bind
    from infra.runtime.memory import share_imports

    listener = bind(settings.host, settings.port)
    if settings.tracing:
        preload()
    share_imports(*API_NEEDS)
    stopping: list[int] = []
    for number in stop_signals(signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: stopping.append(got))
    wakeups = Wakeups()
    parts = ForkedParts(log.warning)
    try:
        add_workers(parts, settings, listener)
        while not stopping:
            parts.look()
            wakeups.wait(WATCH_SECONDS)
    finally:
        listener.close()  # the workers have their own copies
        parts.stop("api")
    return 0


def add_workers(parts: ForkedParts, settings: Settings, listener: socket.socket) -> None:
    """Add the API's processes to `parts`, as many as the settings name; all accept from `listener`."""
    from api.metrics.siblings import family

    if settings.workers == 1:
        parts.add("api", partial(_worker, settings, listener, None), {listener.fileno()})
        return
    for one in family(settings.workers):
        parts.add(
            "api",
            partial(_worker, settings, listener, one),
            {listener.fileno(), one.listening.fileno()},
        )


def _worker(settings: Settings, listener: socket.socket, siblings: Siblings | None) -> int:
    from infra.runtime.processes import run, serve_api

    return run(
        lambda settings, stop: serve_api(settings, stop, listener, siblings), settings, (signal.SIGTERM,)
    )
