"""The ASGI application: its routes, and what wraps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide

from taskapi import openapi
from taskapi.admin import live_settings, queues, workers
from taskapi.analytics import queries as analytics
from taskapi.http.strict_parameters import reject_ambiguous
from taskapi.kubernetes import alerts, events
from taskapi.middleware import errors
from taskapi.middleware.bodies import DEFAULT_LIMITS, BodyLimits, BodyMiddleware
from taskapi.middleware.methods import MethodsMiddleware
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

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

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
    "queues": (queues.list_queues, queues.pause_queue, queues.resume_queue, queues.delete_queue),
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
    span_store: InMemorySpanStore | None = None,
    lifespan: Sequence[Lifespan] = (),
    limits: BodyLimits = DEFAULT_LIMITS,
) -> Litestar:
    """Return the ASGI application. Without `settings` it loads them.

    Traces are read from `span_store` when there is no trace viewer. The contexts in `lifespan` are open while it runs.
    """
    app = Litestar(
        route_handlers=[
            *(
                Router(BASE_PATH, route_handlers=handlers, tags=[tag], before_request=reject_ambiguous)
                for tag, handlers in HANDLERS.items()
            ),
            page.show_trace,
            openapi.index,
            openapi.document,
        ],
        dependencies={"services": Provide(lambda: app.state.services, sync_to_thread=False)},
        exception_handlers={Exception: errors.handle_exception},
        lifespan=[lambda app: app.state.services.open(), *lifespan],
        openapi_config=openapi.CONFIG,
        logging_config=None,
    )
    app.state.services = Services.from_settings(settings or load_settings(), tracing, span_store)
    app.asgi_handler = RequestMiddleware(MethodsMiddleware(BodyMiddleware(app.asgi_handler, limits)), app.state)
    return app
