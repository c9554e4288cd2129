"""OpenTelemetry behind the port `Tracer`: OTLP over HTTP, configured by OTEL_* variables.

OpenTelemetry's SDK is imported only when a process opens a tracer, which needs an endpoint. A thread exports
from a bounded queue: spans that the collector does not accept are dropped, and no task waits for it. The
provider is not global, so instrumentation inside libraries stays off.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING

from domain.context.tracer import Attributes, Kind, Span
from infra.config.settings import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

CLOSE_SECONDS = 3.0
_SCOPE = "towpath"


def check_tracing(settings: Settings) -> None:
    """Check the requirements of tracing before a part starts. Raises SettingsError."""
    if not settings.tracing:
        return
    if settings.otel_traces_exporter not in (None, "otlp"):
        raise SettingsError("OTEL_TRACES_EXPORTER: spans are exported as `otlp`; set that, or `none`")
    if settings.otel_exporter_otlp_protocol not in (None, "http/protobuf"):
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_PROTOCOL: spans are exported over `http/protobuf` (a collector's port 4318); "
            "set that, or OTEL_SDK_DISABLED=true"
        )
    if not settings.otel_url.startswith(("http://", "https://")):
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT: give a URL such as http://127.0.0.1:4318")
    if not _installed():
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
            "`pip install 'towpath[otel]'`, or set OTEL_SDK_DISABLED=true"
        )


def _installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def open_tracer(settings: Settings, service: str) -> OtelTracer | None:
    """The tracer of this process, or None if tracing is off. `service`: its name unless OTEL_* set one.

    Raises:
        SettingsError: see `check_tracing`.
    """
    check_tracing(settings)
    if not settings.tracing:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {"service.name": service, "service.version": version("towpath")}
    resource = Resource.create({**named, **OTELResourceDetector().detect().attributes})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otel_url)))
    return OtelTracer(provider)


def preload() -> None:
    """Import what `open_tracer` needs, before a process forks."""
    for name in ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk.trace.export"):
        importlib.import_module(name)


class OtelTracer:
    """Port `Tracer` on one provider. Close it last: spans that end afterwards are not exported."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace

        self._provider = provider
        self._tracer = provider.get_tracer(_SCOPE)
        self._kinds: dict[Kind, trace.SpanKind] = {
            "internal": trace.SpanKind.INTERNAL,
            "server": trace.SpanKind.SERVER,
            "client": trace.SpanKind.CLIENT,
            "producer": trace.SpanKind.PRODUCER,
            "consumer": trace.SpanKind.CONSUMER,
        }

    def start(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Span:
        """See the port."""
        return OtelSpan(
            self._tracer.start_span(
                name, context=_context(parent), kind=self._kinds[kind], attributes=dict(attributes)
            )
        )

    def close(self) -> None:
        """Export the remaining spans; gives up after CLOSE_SECONDS. Blocks."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)


class OtelSpan:
    """Port `Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self._traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    @property
    def traceparent(self) -> str:
        """See the port."""
        return self._traceparent

    def rename(self, name: str) -> None:
        """See the port."""
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        """See the port."""
        self._span.set_attributes(dict(attributes))

    def fail(self, why: str) -> None:
        """See the port."""
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR, why)

    def end(self) -> None:
        """See the port."""
        self._span.end()


def _context(parent: str | None) -> Context:
    """The parent context of a span: only `parent`, never one that a library left in the ambient context."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    if parent is None:
        return Context()
    _, trace_id, span_id, flags = parent.split("-")
    remote = trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16))
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), Context())
