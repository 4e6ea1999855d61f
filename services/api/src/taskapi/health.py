"""`/livez`, `/readyz`, `/healthcheck`, `/metrics`."""

from __future__ import annotations

import asyncio
import time

import msgspec
from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from taskapi.http.parameters import problem_response
from taskapi.http.problems import ProblemError
from taskapi.runtime.services import AppServices
from taskapi.schemas.problems import Problem, ProblemCode

READY_TIMEOUT_S = 2

_STARTED = time.monotonic()


class HealthStatus(msgspec.Struct, frozen=True):
    status: str


class Uptime(msgspec.Struct, frozen=True):
    """Seconds since the process started."""

    uptime: float


@get("/livez", summary="Is the process alive?")
async def livez() -> HealthStatus:
    """Checks the process only."""
    return HealthStatus("ok")


@get(
    "/readyz",
    summary="Can it serve?",
    responses={503: problem_response("The database is unavailable, or the process is draining.")},
)
async def readyz(services: AppServices) -> HealthStatus:
    """Checks the database as well, for up to two seconds. Fails while the process is draining."""
    if services.draining.is_set():
        problem = Problem("The server is shutting down", 503, ProblemCode.SHUTTING_DOWN)
        raise ProblemError(problem, {"Retry-After": "1"})
    ping = asyncio.create_task(services.database.ping())
    done, _ = await asyncio.wait([ping], timeout=READY_TIMEOUT_S)
    if not done:
        ping.cancel()  # not awaited: cancelling a query on a silent server may take a while
        raise TimeoutError("the database does not respond")
    ping.result()
    return HealthStatus("ok")


@get("/healthcheck", summary="How long has it been up?")
async def healthcheck() -> Uptime:
    """Return the seconds since the process started."""
    return Uptime(time.monotonic() - _STARTED)


@get("/metrics", summary="Metrics for Prometheus", media_type="text/plain")
async def metrics(services: AppServices) -> Response[bytes]:
    """Return the metrics of all processes of this API in Prometheus' text format."""
    text = await asyncio.to_thread(generate_latest, services.metrics)
    return Response(text, media_type=CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8"))
