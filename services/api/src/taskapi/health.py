"""`/livez`, `/readyz`, `/healthcheck`, `/metrics`."""

from __future__ import annotations

import asyncio
import time

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from taskapi.http.parameters import PROBLEM_MEDIA_TYPE
from taskapi.http.problems import shutting_down
from taskapi.runtime.services import Services
from taskapi.schemas import HealthStatus, Problem, Uptime

READY_TIMEOUT_S = 2

_STARTED = time.monotonic()


@get("/livez", operation_id="livez", summary="Is the process alive?", tags=["health"])
async def livez() -> HealthStatus:
    """Looks at nothing but the process."""
    return HealthStatus("ok")


@get(
    "/readyz",
    operation_id="readyz",
    summary="Can it serve?",
    tags=["health"],
    responses={
        503: ResponseSpec(
            Problem, media_type=PROBLEM_MEDIA_TYPE, description="The database is away, or the process stops."
        )
    },
)
async def readyz(services: NamedDependency[Services]) -> HealthStatus:
    """Asks the database too, for two seconds at most. Not while the process takes its leave."""
    if services.draining.is_set():
        raise shutting_down()
    ping = asyncio.create_task(services.database.ping())
    done, _ = await asyncio.wait([ping], timeout=READY_TIMEOUT_S)
    if not done:
        ping.cancel()  # not waited for: telling a silent server may take a while
        raise TimeoutError("the database does not answer")
    ping.result()
    return HealthStatus("ok")


@get("/healthcheck", operation_id="healthcheck", summary="How long has it been up?", tags=["health"])
async def healthcheck() -> Uptime:
    """Seconds since the process started."""
    return Uptime(time.monotonic() - _STARTED)


@get("/metrics", operation_id="metrics", summary="Metrics for Prometheus", tags=["health"], media_type="text/plain")
async def metrics(services: NamedDependency[Services]) -> Response[bytes]:
    """In Prometheus' text format; of all processes of this API, whichever answers."""
    text = await asyncio.to_thread(generate_latest, services.metrics)
    return Response(text, media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"))
