"""Environments for one attempt of a shipped task type."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Tracer

from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins import TaskContext
from taskcore.settings import Settings
from taskcore.testing import AttemptEnvironment


def make_environment(*, tracer: Tracer = NO_TRACER, **sections: Any) -> AttemptEnvironment:
    """Return an environment with these sections of the settings; the others have their defaults."""
    return AttemptEnvironment(task_id=7, settings=Settings(**sections), tracer=tracer)


def loopback_environment(*, tracer: Tracer = NO_TRACER, **http: Any) -> AttemptEnvironment:
    """Return an environment in which HTTP requests may reach this machine."""
    allowed = {"allowed_networks": ("127.0.0.0/8", "::1/128"), "timeout_s": 20}
    return make_environment(tracer=tracer, http=allowed | http)


def database_environment(url: str, *, tracer: Tracer = NO_TRACER, **options: Any) -> AttemptEnvironment:
    """Return an environment with a database named `default`."""
    return make_environment(tracer=tracer, databases={"default": {"url": url, "timeout_s": 60} | options})


def make_context(**sections: Any) -> TaskContext:
    return make_environment(**sections).context


def loopback_context(**http: Any) -> TaskContext:
    return loopback_environment(**http).context


def database_context(url: str, **options: Any) -> TaskContext:
    return database_environment(url, **options).context
