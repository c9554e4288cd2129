"""Main functions of the processes: API, projector, notifier, runner.

Each runs until it is told to stop, then drains. SIGTERM stops a process; so do SIGINT and SIGHUP where it
runs alone. An error that it cannot survive, such as a hole in the log, ends it with exit code 1. This module
only wires; it makes no decisions.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from domain.lifecycle.asyncio_tasks import end_tasks
from domain.lifecycle.service import Background, Service, Services
from infra.config.settings import Settings
from infra.runtime.memory import calm_collector, give_back_freed
from infra.runtime.standard_streams import write_words
from infra.runtime.stop_signals import stop_signals
from infra.telemetry.otel_tracer import check_tracing, open_tracer

if TYPE_CHECKING:
    from api.metrics.siblings import Siblings

DRAIN_SECONDS = 6.0
NOTIFIER_DRAIN_SECONDS = 12.0
"""More than one request to a receiver may take."""
PROJECTOR_CACHE = 500
INTAKE_CONNECTIONS = 64
"""Connection limit of a runner's HTTP intake; each may hold one submission of 1 MiB."""
PROJECTIONS = ("locks", "dispatch", "watchdog", "read-model", "checkpoint-signer")
_OURS = ("domain", "adapters", "projections", "api", "runner", "infra")
log = structlog.get_logger(__name__)
Main = Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]


def run_projector(settings: Settings, only: Collection[str] = PROJECTIONS) -> int:
    """Run the projections, or only some of them. Returns the exit code."""
    check_tracing(settings)
    if damaged(settings):
        return 1
    return run(lambda settings, stop: serve_projector(settings, stop, only), settings)


def damaged(settings: Settings) -> bool:
    """Whether the log is damaged; prints the reason. A damaged log must not be used."""
    import nats.errors

    from domain.errors import Busy
    from infra.maintenance.log_check import LogDamaged, check_patiently
    from infra.nats.connection import NatsUnavailable, connect

    async def check() -> None:
        connection = await connect(settings, "towpath-check")
        try:
            await check_patiently(connection, settings)
        finally:
            await connection.close()

    try:
        asyncio.run(check())
    except LogDamaged as error:
        log.error("cannot start", error=str(error))
        sys.stderr.write(f"towpath: {error}\n")
        return True
    except (NatsUnavailable, Busy, nats.errors.Error, TimeoutError):
        return False  # the process itself reports what it cannot reach
    return False


def run_notifier(settings: Settings) -> int:
    """Run the notifier. Returns the exit code. Raises NotifyFileError."""
    from infra.notices.file import load_notify_file

    load_notify_file(settings)
    check_tracing(settings)
    return run(serve_notifier, settings)


def run_runner(settings: Settings) -> int:
    """Run a host runner. Returns the exit code."""
    settings.check_runner()
    check_tracing(settings)
    return run(serve_runner, settings)


def run(main: Main, settings: Settings, signals: tuple[int, ...] | None = None) -> int:
    """Run one process's main until one of `signals` arrives. Returns the exit code.

    Default signals: SIGTERM, SIGINT, and SIGHUP unless it was ignored at the start.
    """
    import uvloop

    calm_collector()
    give_back_freed()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(
            _until_signal(
                main,
                settings,
                stop_signals(signal.SIGTERM, signal.SIGINT) if signals is None else signals,
            )
        )


async def _until_signal(main: Main, settings: Settings, signals: tuple[int, ...]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        await main(settings, stop)
    except Exception as error:
        log.error("cannot go on", error=_message(error))
        write_words(f"towpath: {_message(error)}\n", sys.stderr)
        return 1
    finally:
        # asyncio.run cancels each task only once, and then waits for all of them without a bound.
        await end_tasks(asyncio.all_tasks() - {asyncio.current_task()})
    return 0


def _message(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_message(one) for one in error.exceptions)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    said = str(error)
    ours = type(error).__module__.partition(".")[0] in _OURS
    return said if ours and said else f"{type(error).__name__}: {said}"  # ours say what to do


async def serve_api(
    settings: Settings,
    stop: asyncio.Event,
    listener: socket.socket | None = None,
    siblings: Siblings | None = None,
) -> None:
    """Run the API; `listener` is an already bound socket, which its `siblings` accept from, too."""
    from adapters.queues.report_queue import JetStreamReportQueue
    from api.app import begin_closing, create_app
    from api.reports.nats_intake import ReportIntake
    from domain.locks.statistics import LogFigures
    from domain.protocol import rfc3339
    from infra.composition import api_parts, now, open_core, open_outputs, push_client
    from infra.notices.operators import history_if_configured
    from infra.runtime.http_connections import Connections, connection_limit
    from infra.runtime.http_server import bind, serve
    from infra.runtime.readiness import Readiness, wait_until_ready
    from projections.lock_view import FoldedLockView

    listener = listener or bind(settings.host, settings.port)
    async with (
        open_core(settings, "towpath-api") as core,
        push_client() as http,
        open_outputs(settings) as outputs,
        history_if_configured(settings) as notices,
    ):
        view = FoldedLockView(core.reader, core.snapshots, LogFigures(rfc3339(now())))

        capacity = core.capacity()
        await capacity.measure()
        readiness = Readiness(
            connected=lambda: core.connection.is_connected,
            last_seq=core.reader.last_seq,
            view_seq=lambda: view.seq,
            applied_seq=core.read_model.position,
            intake=lambda: intake.connected,
        )
        parts = replace(api_parts(core, view, http, readiness, capacity, outputs), notices=notices)
        app = create_app(parts, siblings)
        intake = ReportIntake(parts, JetStreamReportQueue(core.connection), app.state.metrics)
        connections = Connections(connection_limit(2 * (settings.max_requests + settings.max_streams)))
        closing = asyncio.Event()

        async def serving() -> None:
            if siblings is not None and not siblings.first:
                await wait_until_ready(readiness, closing)
            await serve(app, listener, closing, lambda: begin_closing(app), connections)

        counts = [] if siblings is None else [Background(partial(siblings.serve, app.state.metrics))]
        await Services(
            Background(view.run, save=view.save),
            Background(capacity.run),
            *counts,
            intake,
            Background(serving, drain=(closing.set, DRAIN_SECONDS)),
        ).run_until(stop)


async def serve_projector(
    settings: Settings, stop: asyncio.Event, only: Collection[str] = PROJECTIONS
) -> None:
    """Run projections. The lock projection, which every task waits for, may get a process of its own."""
    from infra.composition import (
        lock_projection,
        open_checkpoint_signer,
        open_core,
        process_managers,
        push_client,
        read_model_projection,
    )

    # dispatch reads an attempt once or twice, so a large cache would waste memory
    settings = settings.model_copy(update={"task_cache": min(settings.task_cache, PROJECTOR_CACHE)})
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(
            open_core(
                settings, "towpath-projector", needs_database=bool(set(only) - {"locks", "checkpoint-signer"})
            )
        )
        services: list[Service] = []
        if "locks" in only:
            locks = lock_projection(core)
            services.append(Background(locks.run, save=locks.save))
        if "dispatch" in only or "watchdog" in only:
            managers = process_managers(core, await stack.enter_async_context(push_client()))
            services.append(Background(managers.view.run, save=managers.view.save))
            if "dispatch" in only:
                services.append(Background(partial(managers.dispatch.run, managers.events)))
            if "watchdog" in only:
                await managers.capacity.measure()
                services.append(Background(managers.capacity.run))
                services.append(Background(partial(managers.ends.consume, managers.retries.plan)))
                for kind, handle in managers.deadlines.items():
                    services.append(Background(partial(managers.due(kind).consume, handle)))
                services.append(Background(partial(managers.beats.listen, managers.quarantine.handle)))
                services.append(Background(managers.sweep.run))
        if "read-model" in only:
            services.append(Background(read_model_projection(core).run))
        if "checkpoint-signer" in only:
            signer = await stack.enter_async_context(open_checkpoint_signer(core))
            services.append(Background(signer.run))
        await Services(*services).run_until(stop)


async def serve_notifier(settings: Settings, stop: asyncio.Event) -> None:
    """Run the notifier. Raises NotifyFileError."""
    from infra.composition import open_core
    from infra.notices.file import load_notify_file
    from infra.notices.notifier import open_notifier
    from projections.lock_view import FoldedLockView

    file = load_notify_file(settings)
    async with open_core(settings, "towpath-notifier", needs_database=False) as core:
        view = FoldedLockView(core.reader, core.snapshots)
        async with open_notifier(core, file, view) as notifier:
            await Services(
                Background(view.run), Background(notifier.run, drain=(notifier.close, NOTIFIER_DRAIN_SECONDS))
            ).run_until(stop)


async def serve_runner(settings: Settings, stop: asyncio.Event) -> None:
    """Run a runner."""
    from adapters.nats.client import new_client
    from infra.config.own_hosts import own_hosts
    from infra.nats.connection import identity, server_urls
    from infra.runtime.http_connections import Connections, connection_limit, guarded_protocol
    from runner.config import RunnerConfig
    from runner.service import RunnerService

    token, api_token = settings.runner_token, settings.api_runner_callback_token
    config = RunnerConfig(
        state_dir=settings.runner_state,
        roots=settings.roots,
        pools=settings.pools,
        capacity=settings.runner_capacity,
        runner_id=settings.runner_id,
        nats_url=",".join(server_urls(settings)) if settings.runner_nats else None,
        nats_options=identity(settings) if settings.runner_nats else {},
        intake_host=settings.runner_host,
        intake_port=settings.runner_port,
        runner_token=token.get_secret_value() if token else None,
        api_url=settings.url,
        job_api_url=settings.url if "url" in settings.model_fields_set else None,
        api_token=api_token.get_secret_value() if api_token else None,
        callback_urls=_callback_urls(settings),
        intake_hosts=own_hosts(settings, settings.runner_host),
        lease_seconds=settings.lease_seconds,
        reserve_bytes=settings.runner_reserve_bytes,
        output_bytes=settings.runner_output_bytes,
        output_days=settings.runner_output_days,
        output_total_bytes=settings.runner_output_total_bytes,
        job_user=settings.job_user,
        own_signals=settings.job_signals == "own",
        adopts_orphans=True,
    )
    tracer = open_tracer(settings, "towpath-runner")
    connections = Connections(connection_limit(INTAKE_CONNECTIONS))
    try:
        new_output_client = partial(new_client, settings.nats_client)
        service = RunnerService(config, tracer, guarded_protocol(connections), new_output_client)
        await service.run_until(stop)
    finally:
        if tracer is not None:
            await asyncio.to_thread(tracer.close)


def _callback_urls(settings: Settings) -> tuple[str, ...]:
    """Allowed report destinations: the API that the runner works for, and the configured callback base."""
    said = settings.api_runner_callback_base_url or settings.api_public_base_url
    return (settings.url, said) if said else (settings.url,)
