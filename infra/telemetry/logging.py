"""Logging: readable lines on a terminal, JSON lines elsewhere, always on stderr.

Each line names what it is about, if known: task, attempt, sequence, trace (`domain.context.log_context`,
`domain.context.trace`). Lines that libraries log through the standard library are formatted the same way.
Secrets are removed from the finished line, whether in a message, a field, a URL or a traceback.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.context.log_context import About, current_about
from domain.context.redaction import secrets_in_urls
from domain.context.trace import current_traceparent, trace_id
from infra.config.settings import Settings

HIDDEN = "***"
_MIN_SECRET_CHARS = 4
_SECRET_FIELD = re.compile(r"(token|password|secret|authorization|credential|cookie)s?$", re.IGNORECASE)
_FIRST = ("timestamp", "level", "message", *About._fields, "trace", "logger")
_TALKATIVE = ("httpx", "httpcore", "asyncio", "aiosqlite")


def configure_logging(settings: Settings, more_secrets: Iterable[str] = ()) -> None:
    """Set up structlog and the standard library's logging for this process; another call replaces it."""
    on_terminal = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_about,
        _add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_fields,
        _drop_colors,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(on_terminal),
        ],
    )
    handler.setFormatter(_Redacting(formatter, [*secrets_of(settings), *more_secrets]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def secrets_of(settings: Settings) -> list[str]:
    """Every secret value in the settings: tokens, keys and the passwords in URLs."""
    found: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            found += [text, *(part.strip() for part in text.split(","))]
            found += [part.partition(":")[2].strip() for part in text.split(",")]
    found += secrets_in_urls(settings.nats_url)
    for url in (settings.database_url, settings.otel_url):
        found += secrets_in_urls(url, user_is_token=False)
    return found


def _renderers(on_terminal: bool) -> list[Processor]:
    if on_terminal:
        colors = not os.environ.get("NO_COLOR")
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
            )
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        _in_order,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]


def _add_about(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add task, attempt and sequence from the context, unless the line names another task."""
    now = current_about()
    if now is not None and event.get("task", now.task) == now.task:
        for name, value in zip(now._fields, now, strict=True):
            if event.get(name) is None:
                event[name] = value
    return event


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the W3C trace id of the request or event in progress, if any."""
    traceparent = current_traceparent()
    if traceparent is not None and event.get("trace") is None:
        event["trace"] = trace_id(traceparent)
    for name in (*About._fields, "trace"):
        if name in event and event[name] is None:
            del event[name]
    return event


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the fields that every line has first, for readers of raw lines."""
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **event}


def _hide_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask texts in fields named like secrets; a number there is a fencing token, which is no secret."""
    for name, value in event.items():
        if isinstance(value, str | SecretStr) and _SECRET_FIELD.search(name):
            event[name] = HIDDEN
    return event


def _drop_colors(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Remove the coloured copy of the message that uvicorn adds."""
    event.pop("color_message", None)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    """Silently drops a line that cannot be written (no reader, a full disk, a closed stream)."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exception(), OSError) and not self.stream.closed:
            super().handleError(record)


class _Redacting(logging.Formatter):
    """Masks known secrets in another formatter's output."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        known = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
        self._secrets = sorted((one for one in known if len(one) >= _MIN_SECRET_CHARS), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line
