"""The Prometheus registry, one per application.

Labels hold route templates, statuses and problem codes, never ids: the number of series stays bounded.
`towpath_events_seen_total` is the sequence that this process has folded, since the log has no gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware.response_status import Answered, route_path
from domain.locks.statistics import LogFigures, Spread
from domain.log.capacity import LogCapacity
from domain.log.events import Transport
from domain.ports.notices import ChannelFigures
from domain.protocol import RunnerState
from domain.services.dead_letters import DeadLetters

RECORDED = "recorded"
STALE = "stale"
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The application's metrics."""

    def __init__(self, events_seen: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_EventsSeen(events_seen))
        self._requests = Counter(
            "towpath_http_requests",
            "HTTP requests by method, route template and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_counts: dict[tuple[str, str, int], Counter] = {}
        self._callback_counts: dict[tuple[Transport, str], tuple[Counter, Histogram]] = {}
        self._callbacks = Counter(
            "towpath_callbacks",
            "Runner reports by transport and outcome (recorded, stale, or the problem's code)",
            ["transport", "outcome"],
            registry=self.registry,
        )
        self._callback_seconds = Histogram(
            "towpath_callback_seconds",
            "How long a runner's report took until it was answered",
            ["transport"],
            registry=self.registry,
            buckets=_BUCKETS,
        )

        self._runners = Gauge(
            "towpath_runners", "Runners by state: alive, suspected, lost", ["state"], registry=self.registry
        )
        self._awaiting_operator = Gauge(
            "towpath_locks_awaiting_operator",
            "Locks of lost runners that are kept until an operator releases them",
            registry=self.registry,
        )
        self._runner_conflicts = Gauge(
            "towpath_runner_conflicts",
            "Runner ids under which several runners send heartbeats",
            registry=self.registry,
        )
        self._fullness = Gauge(
            "towpath_heartbeats_fullness_ratio",
            "Part of the room for heartbeats that is taken; a full one rejects those of all runners",
            registry=self.registry,
        )
        self._refused = Counter(
            "towpath_refusals",
            "Commands and reports that the task's state did not allow, by reason",
            ["reason"],
            registry=self.registry,
        )
        self._tasks = Gauge("towpath_tasks", "Tasks by status", ["status"], registry=self.registry)
        self._locks = Gauge(
            "towpath_locks",
            "Claims by state: held, waiting; due: workspaces whose next fact nothing stands in the way of",
            ["state"],
            registry=self.registry,
        )
        self._lag_events = Gauge(
            "towpath_projection_lag_events",
            "Events, deadlines or reports that a projection has not applied yet",
            ["projection"],
            registry=self.registry,
        )
        self._lag_seconds = Gauge(
            "towpath_projection_lag_seconds",
            "Age of the oldest that a projection has not applied yet; 0: none",
            ["projection"],
            registry=self.registry,
        )
        self._outbox = Gauge(
            "towpath_runner_outbox_reports",
            "Reports on the disks of runners that are not answered yet",
            registry=self.registry,
        )
        self._questions = Gauge(
            "towpath_questions_open",
            "Questions of running jobs that wait for an answer",
            registry=self.registry,
        )
        self._oldest_question = Gauge(
            "towpath_questions_oldest_seconds",
            "Age of the oldest question that waits for an answer; 0: none",
            registry=self.registry,
        )
        self._notices = Gauge(
            "towpath_notices",
            "Notices by channel and state: sent (since the notifier's state was made), waiting, dead",
            ["channel", "state"],
            registry=self.registry,
        )
        self._notices_failed = Gauge(
            "towpath_notices_failed_tries",
            "Tries to send a notice that failed, by channel, since the notifier's state was made",
            ["channel"],
            registry=self.registry,
        )
        self._notices_lag = Gauge(
            "towpath_notices_lag_seconds",
            "How long the first notice of a channel that is due has been due; 0: none",
            ["channel"],
            registry=self.registry,
        )
        self._dead_letters = Gauge(
            "towpath_dead_letters",
            "Messages that could not be applied and wait for an operator",
            registry=self.registry,
        )

    def runners(self, by_state: Mapping[RunnerState, int], awaiting_operator: float) -> None:
        """Set the numbers of runners; none and NaN if unknown."""
        self._runners.clear()
        for state, count in by_state.items():
            self._runners.labels(state).set(count)
        self._awaiting_operator.set(awaiting_operator)

    def runner_conflicts(self, count: float) -> None:
        """Set the number of ids with several runners; NaN if unknown."""
        self._runner_conflicts.set(count)

    def heartbeats_fullness(self, ratio: float) -> None:
        """Set the part of the room for heartbeats that is taken; NaN if unknown."""
        self._fullness.set(ratio)

    def dead_letters(self, count: float) -> None:
        """Set the number of dead letters; NaN if unknown."""
        self._dead_letters.set(count)

    def notices(self, figures: ChannelFigures, lag_seconds: float) -> None:
        """Set the figures of one channel."""
        for state, count in (("sent", figures.sent), ("waiting", figures.waiting), ("dead", figures.dead)):
            self._notices.labels(figures.channel, state).set(count)
        self._notices_failed.labels(figures.channel).set(figures.failed)
        self._notices_lag.labels(figures.channel).set(lag_seconds)

    def questions(self, count: float, oldest_seconds: float) -> None:
        """Set how many questions are open, and the age of the oldest; NaN if unknown."""
        self._questions.set(count)
        self._oldest_question.set(oldest_seconds)

    def refused(self, reason: str) -> None:
        """Count one rejected command or report."""
        self._refused.labels(reason).inc()

    def tasks(self, by_status: Mapping[str, int]) -> None:
        """Set the numbers of tasks; {} if unknown."""
        self._tasks.clear()
        for status, count in by_status.items():
            self._tasks.labels(status).set(count)

    def locks(self, held: int, waiting: int, due: int) -> None:
        """Set the numbers of open claims."""
        for state, count in (("held", held), ("waiting", waiting), ("due", due)):
            self._locks.labels(state).set(count)

    def lag(self, projection: str, events: float, seconds: float) -> None:
        """Set how far a projection is behind; NaN if unknown."""
        self._lag_events.labels(projection).set(events)
        self._lag_seconds.labels(projection).set(seconds)

    def outbox(self, reports: float) -> None:
        """Set the number of reports waiting on runners; NaN if unknown."""
        self._outbox.set(reports)

    def request(self, method: str, route: str, status: int) -> None:
        """Count one answered request."""
        found = self._request_counts.get((method, route, status))
        if found is None:
            known = method if method in METHODS else "other"
            found = self._requests.labels(known, route, str(status))
            if known == method:
                self._request_counts[(method, route, status)] = found
        found.inc()

    def callback(self, transport: Transport, outcome: str, seconds: float) -> None:
        """Count one report."""
        found = self._callback_counts.get((transport, outcome))
        if found is None:
            found = self._callbacks.labels(transport, outcome), self._callback_seconds.labels(transport)
            self._callback_counts[(transport, outcome)] = found
        count, took = found
        count.inc()
        took.observe(seconds)

    def live_streams(self, open_now: Callable[[], int], dropped: Callable[[], int]) -> None:
        """Register functions that return how many live streams are open, and how many were dropped unread."""
        opened = Gauge("towpath_live_streams", "Live streams that are open", registry=self.registry)
        opened.set_function(open_now)
        gone = Gauge(
            "towpath_live_streams_dropped", "Live streams whose reader did not read", registry=self.registry
        )
        gone.set_function(dropped)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)


class CapacityLeft(Collector):
    """Capacity that the log's limits leave for new work, per limit; below zero, new work is refused."""

    def __init__(self, capacity: LogCapacity) -> None:
        self._capacity = capacity

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample for each known limit."""
        gauge = GaugeMetricFamily(
            "towpath_log_room_bytes",
            "Bytes the log has left for new work",
            labels=["bound"],
        )
        for bound in self._capacity.bounds():
            gauge.add_metric([bound.name], bound.spare)
        yield gauge


class LogCounts(Collector):
    """Statistics that this process collected while it folded the log."""

    def __init__(self, figures: LogFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Events by type, retries, and how long locks were waited for and held."""
        events = CounterMetricFamily(
            "towpath_events", "Events appended since this process started, by type", labels=["type"]
        )
        for (kind, event), count in sorted(self._figures.events.items()):
            events.add_metric([f"{kind}.{event}"], count)
        yield events
        yield CounterMetricFamily(
            "towpath_retries", "Attempts begun by retries since this process started", self._figures.retries
        )
        waits, holds = self._figures.lock_waits, self._figures.lock_holds
        yield _histogram("towpath_lock_wait_seconds", "From dispatch to grant", waits)
        yield _histogram("towpath_lock_hold_seconds", "From grant to release", holds)


def _histogram(name: str, says: str, spread: Spread) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, says)
    bounds = [*(str(bound) for bound in spread.bounds), "+Inf"]
    family.add_metric([], list(zip(bounds, map(float, accumulate(spread.counts)), strict=True)), spread.total)
    return family


class DroppedLetters(Collector):
    """Dead letters that this process dropped because too many were alike."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One sample for each kind and reason."""
        gone = CounterMetricFamily(
            "towpath_dead_letters_dropped",
            "Dead letters dropped since this process started, as too many were alike",
            labels=["kind", "reason"],
        )
        for (kind, reason), count in sorted(self._letters.dropped.items()):
            gone.add_metric([kind, reason], count)
        yield gone


class _EventsSeen(Collector):
    def __init__(self, events_seen: Callable[[], int]) -> None:
        self._events_seen = events_seen

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "towpath_events_seen", "Events of the log this process has folded", self._events_seen()
        )


class CountRequests:
    """ASGI middleware: counts every response under the template of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and record the response's status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = Answered(send)
        try:
            await self._app(scope, receive, answered)
        finally:
            self._metrics.request(scope["method"], route_path(scope) or "unmatched", answered.status)
