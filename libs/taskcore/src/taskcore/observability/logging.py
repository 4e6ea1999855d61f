"""Structured logs on stderr, with the fields of the current attempt and without secrets."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from taskcore.observability.log_context import add_attempt_fields
from taskcore.observability.redaction import Redactor
from taskcore.settings import LogSettings

#: These log at INFO what others log at DEBUG.
CHATTY_LOGGERS = (
    "httpx",
    "httpcore",
    "dramatiq",
    "alembic",
    "mail",
    "urllib3",
    "kubernetes",
    "taskcore.db.measured_pool",  # SQLAlchemy logs under the name of the pool's class
)
#: OpenTelemetry logs each span that it drops, which we count; pika logs eight lines for a refused connection.
SILENCED_LOGGERS = ("opentelemetry", "pika")


def configure_logging(settings: LogSettings) -> None:
    """Send all records, the standard library's included, to stderr: as JSON, or readable on a terminal."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_attempt_fields,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,  # follows the root logger's level, which may change
        cache_logger_on_first_use=True,
    )
    redactor = Redactor(settings.redacted_fields)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            lambda _, __, line: redactor.redact_fields(line),
            _renderer(settings),
            lambda _, __, line: redactor.redact_text(str(line)),  # for values that are not text until rendered
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.getLogger().handlers[:] = [handler]
    set_log_level(settings.level)


def _renderer(settings: LogSettings) -> Any:
    if settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty()):
        return structlog.processors.JSONRenderer(default=_fallback_json)
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _fallback_json(value: object) -> str:
    """Return `value` as text. A foreign `repr` may raise anything, and the line must still be written."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def set_log_level(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in SILENCED_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
