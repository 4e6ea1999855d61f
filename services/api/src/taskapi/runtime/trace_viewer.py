"""Read traces from the trace viewer over HTTP. Time and size are limited, for all traces of a call together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

import httpx
import structlog

from taskapi.http.problems import ProblemError
from taskapi.runtime.otlp import decode_otlp
from taskapi.runtime.proxies import proxy_for
from taskapi.schemas.problems import Problem, ProblemCode
from taskcore.observability.tracing.span_record import SpanRecord
from taskcore.settings import TRACE_ID_PLACEHOLDER

TIMEOUT_S = 5.0
MAX_BYTES = 8 * 1024 * 1024
NO_TRACE_STATUSES = frozenset({204, 404})

log = structlog.stdlib.get_logger(__name__)


class TraceViewer:
    """The viewer at `tracing.query_url`, which may hold a password and so is neither logged nor returned."""

    name: Literal["viewer"] = "viewer"

    def __init__(self, template: str, timeout_s: float = TIMEOUT_S, *, with_others: bool = False) -> None:
        """`with_others`: return the spans of other services, too."""
        self._template = template
        self._timeout_s = timeout_s
        self._with_others = with_others
        self._http: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """Raise `ProblemError` when the environment names a proxy or certificates that cannot be used.

        It is made when it is first used: the API starts whatever the environment says.
        """
        if self._http is None:
            self._http = _client(self._template)
        return self._http

    async def find_spans(self, trace_ids: Sequence[str]) -> Mapping[str, Sequence[SpanRecord]]:
        """Raise `ProblemError` when the viewer is unavailable or its response is not valid."""
        try:
            async with asyncio.timeout(self._timeout_s):
                budget = _ByteBudget(MAX_BYTES)
                bodies = [await self._ask(trace_id, budget) for trace_id in trace_ids]
            return await asyncio.to_thread(self._decoded, trace_ids, bodies)
        except TimeoutError as exc:
            raise _unavailable(f"did not respond within {self._timeout_s:g} s") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise _unavailable(f"could not be reached ({type(exc).__name__})") from exc
        except ValueError as exc:
            raise _unavailable("sent a response that is not a trace in OTLP JSON") from exc

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _decoded(self, trace_ids: Sequence[str], bodies: Sequence[bytes | None]) -> Mapping[str, Sequence[SpanRecord]]:
        return {
            trace_id: [] if body is None else decode_otlp(body, trace_id, with_others=self._with_others)
            for trace_id, body in zip(trace_ids, bodies, strict=True)
        }

    async def _ask(self, trace_id: str, budget: _ByteBudget) -> bytes | None:
        """Return the body, or None when the viewer does not have the trace (yet)."""
        async with self.client.stream("GET", self._template.replace(TRACE_ID_PLACEHOLDER, trace_id)) as response:
            if response.status_code in NO_TRACE_STATUSES:
                return None
            if response.status_code != 200:
                raise _unavailable(f"responded with status {response.status_code}")
            chunks = []
            async for chunk in response.aiter_bytes():
                budget.take(len(chunk))
                chunks.append(chunk)
            return b"".join(chunks)


class _ByteBudget:
    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _unavailable(f"responded with more than {MAX_BYTES // 2**20} MiB")


def _client(url: str) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            headers={"Accept": "application/json"},
            timeout=None,
            trust_env=False,
            proxy=proxy_for(url),
            verify=httpx.create_ssl_context(),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as exc:
        raise _unavailable("cannot be asked through the proxy that the API's environment names") from exc
    except OSError as exc:
        raise _unavailable("cannot be asked, because SSL_CERT_FILE of the API's environment cannot be read") from exc


def _unavailable(reason: str) -> ProblemError:
    log.warning("trace_viewer.unavailable", reason=reason)
    detail = f"The trace viewer {reason}."
    problem = Problem("The trace viewer is unavailable", 503, ProblemCode.TRACE_VIEWER_UNAVAILABLE, detail=detail)
    return ProblemError(problem, {"Retry-After": "1"})
