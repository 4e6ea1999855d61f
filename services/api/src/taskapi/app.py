"""The application: its routes, and what surrounds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from prometheus_client import CollectorRegistry

from taskapi import changes, errors, health, listings, logs, openapi, queue_pauses, related, settings, submit, tasks
from taskapi.analytics import reading as analytics
from taskapi.kubernetes import alerts, events
from taskapi.queries import refuse_unknown_parameters
from taskapi.requests import RequestScope
from taskapi.schedules import changing, reading, steering
from taskapi.services import Services
from taskapi.traces import page
from taskapi.traces import reading as traces
from taskcore.settings import Settings, load_settings
from taskcore.tracing.local import LocalSpans
from taskcore.tracing.provider import OFF, Tracing

BASE_PATH = "/api/v1"

HANDLERS: Sequence[Any] = (
    submit.submit_task,
    submit.submit_batch,
    tasks.list_tasks,
    tasks.count_tasks,
    tasks.get_task,
    tasks.get_history,
    tasks.get_attempts,
    tasks.wait_for_task,
    traces.get_trace,
    logs.get_logs,
    related.list_dependencies,
    related.list_dependents,
    changes.cancel_task,
    changes.pause_task,
    changes.resume_task,
    changes.retry_task,
    changes.delete_task,
    listings.list_task_types,
    listings.list_workers,
    listings.list_queues,
    queue_pauses.pause_queue,
    queue_pauses.resume_queue,
    settings.list_settings,
    settings.get_setting,
    settings.set_setting,
    settings.unset_setting,
    events.list_events,
    events.list_event_versions,
    events.list_task_events,
    alerts.list_alerts,
    alerts.resolve_alert,
    analytics.list_metrics,
    analytics.get_analytics,
    reading.list_schedules,
    reading.get_schedule,
    reading.list_fires,
    reading.preview_schedule,
    reading.preview_recurrence,
    changing.create_schedule,
    changing.change_schedule,
    changing.delete_schedule,
    steering.pause_schedule,
    steering.resume_schedule,
    steering.run_schedule,
)


def create_app(
    own: Settings | None = None,
    tracing: Tracing = OFF,
    metrics: CollectorRegistry | None = None,
    local: LocalSpans | None = None,
) -> Litestar:
    """The ASGI application. Without settings of its `own` it reads them itself, as a process of its own does.

    `metrics` are what `/metrics` tells, where that is not just what is counted in this process; `local` the spans that
    this very process keeps.
    """
    services = Services.of(own or load_settings(), tracing, metrics, local)
    app = Litestar(
        route_handlers=[
            Router(BASE_PATH, route_handlers=HANDLERS, before_request=refuse_unknown_parameters),
            health.livez,
            health.readyz,
            health.healthcheck,
            health.metrics,
            page.show_trace,
            openapi.index,
            openapi.document,
        ],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        exception_handlers={Exception: errors.answer},
        lifespan=[_lifespan(services)],
        openapi_config=openapi.CONFIG,
        logging_config=None,
    )
    app.state.services = services
    app.asgi_handler = RequestScope(app.asgi_handler, services)
    return app


def _lifespan(services: Services) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    return lambda app: services.open()
