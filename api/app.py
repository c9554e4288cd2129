"""The ASGI application: routes, middleware and error handlers around one set of dependencies.

`create_app` opens and starts nothing. `begin_closing` ends live streams and makes `/readyz` answer 503; call
it when the process is told to stop, before the server waits for its connections to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from api import problems
from api.dependencies import ApiParts
from api.metrics.registry import CapacityLeft, CountRequests, DroppedLetters, LogCounts, Metrics
from api.metrics.siblings import Siblings
from api.middleware.admission import Admit
from api.middleware.body_limit import LimitBody
from api.middleware.compression import Compress
from api.middleware.head_requests import AnswerHead
from api.middleware.trace_context import CarryTrace
from api.middleware.web_guard import GuardHosts
from api.queries.event_pages import EventPages
from api.queries.figures.overview import Overviews
from api.queries.notices import NotifierWatch
from api.routes.locks import lock_history, workspaces
from api.routes.log import changes, events, evidence, extent
from api.routes.operations import dead_letters, health, notices, overview
from api.routes.pages import console, contracts, session
from api.routes.runners import heartbeat, runners
from api.routes.runners.status import ShortCut, StatusEndpoint, status_route
from api.routes.tasks import attempts, bulk, commands, output, questions, tasks
from api.schema import docs_page
from api.schema.openapi import Described
from api.streaming.change_feed import ChangeFeed
from api.streaming.live_response import Streams
from domain.validation.web_hosts import WebHosts

_ABOUT = "Dispatches tasks to runners, locks workspaces, and records every step in one ordered log."

# `api.middleware.trace_context` makes the spans; FastAPI's own would repeat them and show request contents.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}

_ROUTES = (
    overview,
    tasks,
    attempts,
    extent,
    questions,
    bulk,
    commands,
    output,
    events,
    changes,
    evidence,
    workspaces,
    lock_history,
    runners,
    dead_letters,
    notices,
    session,
    health,
)


def create_app(parts: ApiParts, siblings: Siblings | None = None) -> FastAPI:
    """The ASGI application for `parts`. `app.state.metrics` holds its metrics, also for the report intake.

    `siblings`: other processes that serve the same port.
    """
    metrics = Metrics(lambda: parts.view.seq)
    metrics.registry.register(CapacityLeft(parts.capacity))
    streams = Streams(parts.config.max_streams)
    metrics.live_streams(lambda: streams.open, lambda: streams.dropped)
    metrics.registry.register(LogCounts(parts.view.figures))
    metrics.registry.register(DroppedLetters(parts.dead_letters))
    app = described()
    app.state.parts = parts
    app.state.metrics = metrics
    app.state.siblings = siblings
    app.state.event_pages = EventPages(parts)
    app.state.closing = asyncio.Event()
    app.state.streams = streams
    app.state.notifier_watch = NotifierWatch()
    app.state.overviews = Overviews(parts)
    app.state.changes = ChangeFeed(parts, app.state.closing)
    reports = StatusEndpoint(parts, metrics)
    app.router.routes.append(status_route(reports))
    problems.install(app)
    app.add_middleware(Compress)
    app.add_middleware(ShortCut, endpoint=reports)
    app.add_middleware(AnswerHead)
    app.add_middleware(LimitBody, limit=parts.config.body_limit_bytes)
    app.add_middleware(Admit, limit=parts.config.max_requests, body_limit=parts.config.body_limit_bytes)
    app.add_middleware(GuardHosts, hosts=WebHosts(parts.config.hosts))
    app.add_middleware(CarryTrace, tracer=parts.tracer)
    app.add_middleware(CountRequests, metrics=metrics)
    return app


def described() -> FastAPI:
    """The routes without dependencies, for generating documents."""
    app = Described(
        title="Towpath",
        version=_version(),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        lifespan=_lifespan,
    )
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.include_router(heartbeat.router)
    app.include_router(questions.asking)
    app.include_router(health.probes)
    app.include_router(docs_page.router)
    app.include_router(contracts.router)
    app.include_router(contracts.pages)
    app.include_router(session.login)
    app.include_router(console.router)
    return app


def begin_closing(app: FastAPI) -> None:
    """End live streams now; may be called twice."""
    app.state.closing.set()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    begin_closing(app)


def _version() -> str:
    try:
        return version("towpath")
    except PackageNotFoundError:
        return "0"
