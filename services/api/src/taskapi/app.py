"""The ASGI application: its routes, and what wraps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from prometheus_client import CollectorRegistry

from taskapi import health, openapi
from taskapi.admin import live_settings, queues, workers
from taskapi.analytics import queries as analytics
from taskapi.http.strict_query import reject_unknown_parameters
from taskapi.kubernetes import alerts, events
from taskapi.middleware import errors
from taskapi.middleware.request import RequestMiddleware
from taskapi.runtime.services import Services
from taskapi.schedules import actions as steering
from taskapi.schedules import definitions
from taskapi.schedules import queries as schedules
from taskapi.tasks import actions, dependencies, logs, submit
from taskapi.tasks import queries as tasks
from taskapi.traces import page, task_trace
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.settings import Settings, load_settings

BASE_PATH = "/api/v1"

#: By tag.
HANDLERS: Mapping[str, Sequence[Any]] = {
    "tasks": (
        submit.submit_task,
        submit.submit_batch,
        tasks.list_tasks,
        tasks.count_tasks,
        tasks.get_task,
        tasks.get_task_history,
        tasks.get_task_attempts,
        tasks.wait_for_task,
        task_trace.get_task_trace,
        logs.get_task_logs,
        events.list_task_events,
        dependencies.list_dependencies,
        dependencies.list_dependents,
        actions.cancel_task,
        actions.pause_task,
        actions.resume_task,
        actions.retry_task,
        actions.delete_task,
    ),
    "types": (workers.list_task_types,),
    "workers": (workers.list_workers,),
    "queues": (queues.list_queues, queues.pause_queue, queues.resume_queue),
    "settings": (
        live_settings.list_settings,
        live_settings.get_setting,
        live_settings.set_setting,
        live_settings.unset_setting,
    ),
    "kubernetes": (events.list_events, events.list_event_versions, alerts.list_alerts, alerts.resolve_alert),
    "analytics": (analytics.list_metrics, analytics.get_analytics),
    "schedules": (
        schedules.list_schedules,
        schedules.get_schedule,
        schedules.list_schedule_fires,
        schedules.preview_schedule,
        schedules.preview_recurrence,
        definitions.create_schedule,
        definitions.change_schedule,
        definitions.delete_schedule,
        steering.pause_schedule,
        steering.resume_schedule,
        steering.run_schedule,
    ),
}


def create_app(
    settings: Settings | None = None,
    tracing: Tracing = NO_TRACING,
    metrics: CollectorRegistry | None = None,
    span_store: InMemorySpanStore | None = None,
) -> Litestar:
    """Return the ASGI application. Without `settings` it loads them.

    `/metrics` exposes `metrics` [default: those of this process]. Traces are read from `span_store` when there is no
    trace viewer.
    """
    app = Litestar(
        route_handlers=[
            *(
                Router(BASE_PATH, route_handlers=handlers, tags=[tag], before_request=reject_unknown_parameters)
                for tag, handlers in HANDLERS.items()
            ),
            Router(
                "/", route_handlers=[health.livez, health.readyz, health.healthcheck, health.metrics], tags=["health"]
            ),
            page.show_trace,
            openapi.index,
            openapi.document,
        ],
        dependencies={"services": Provide(lambda: app.state.services, sync_to_thread=False)},
        exception_handlers={Exception: errors.handle_exception},
        lifespan=[lambda app: app.state.services.open()],
        openapi_config=openapi.CONFIG,
        logging_config=None,
    )
    app.state.services = Services.from_settings(settings or load_settings(), tracing, metrics, span_store)
    app.asgi_handler = RequestMiddleware(app.asgi_handler, app.state)
    return app
