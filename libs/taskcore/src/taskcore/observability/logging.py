"""Structured logs on stderr, with the fields of the current attempt and without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import structlog
from structlog.typing import ExcInfo

from taskcore.observability.exception_text import describe_exception, describe_object
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
            structlog.processors.ExceptionRenderer(partial(_exception_text, redactor)),
            lambda _, __, line: redactor.redact_fields(line),
            _unfailing(_renderer(settings)),
            lambda _, __, line: redactor.redact_text(str(line)),  # for values that are not text until rendered
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.getLogger().handlers[:] = [handler]
    set_log_level(settings.level)


def is_console(settings: LogSettings) -> bool:
    """Return whether lines are for a person to read, not for a program."""
    return settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())


def _renderer(settings: LogSettings) -> Any:
    if is_console(settings):
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(default=describe_object)


def _unfailing(render: Any) -> Any:
    """Return a renderer that loses no line for a value that `render` cannot take: all values are text then."""

    def render_anything(logger: Any, method: str, line: MutableMapping[str, Any]) -> Any:
        try:
            return render(logger, method, dict(line))
        except Exception:  # keys that are no text, a structure that contains itself, or a foreign method
            return render(logger, method, {str(name): _as_text(value) for name, value in line.items()})

    return render_anything


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else describe_object(value)


def _exception_text(redactor: Redactor, exc_info: ExcInfo) -> str:
    """Return the traceback as Python prints it. A foreign exception may raise when it is read."""
    summary, _, traceback = describe_exception(exc_info[1], redact=redactor.redact_text).text.partition("\n\n")
    return traceback or summary


def set_log_level(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in SILENCED_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
