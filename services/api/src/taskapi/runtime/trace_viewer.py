"""The trace viewer, asked over HTTP. What it may take is bounded, in time and in size, for all traces of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

import httpx
import structlog

from taskapi.http.problems import ProblemError, trace_viewer_unavailable
from taskapi.runtime.otlp import decode_otlp
from taskcore.observability.tracing.span_record import SpanRecord
from taskcore.settings import TRACE_ID_PLACEHOLDER

TIMEOUT_S = 5.0
MAX_BYTES = 8 * 1024 * 1024
NO_TRACE_STATUSES = frozenset({204, 404})

log = structlog.stdlib.get_logger(__name__)


class TraceViewer:
    """At the setting `tracing.query_url`, which may hold a password: it is in no log and no answer."""

    name: Literal["viewer"] = "viewer"

    def __init__(self, template: str, timeout_s: float = TIMEOUT_S) -> None:
        self._template = template
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(headers={"Accept": "application/json"}, timeout=None)

    async def find_spans(self, trace_ids: Sequence[str]) -> Mapping[str, Sequence[SpanRecord]]:
        """Raises `Refused`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                room = _ByteBudget(MAX_BYTES)
                bodies = [await self._ask(trace_id, room) for trace_id in trace_ids]
            return await asyncio.to_thread(_decoded, trace_ids, bodies)
        except TimeoutError as exc:
            raise _unavailable(f"did not answer within {self._timeout_s:g} s") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise _unavailable(f"could not be asked ({type(exc).__name__})") from exc
        except ValueError as exc:
            raise _unavailable("gave an answer that is no trace as OTLP JSON") from exc

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, trace_id: str, room: _ByteBudget) -> bytes | None:
        """The body. None: it does not have the trace, or not yet."""
        async with self._http.stream("GET", self._template.replace(TRACE_ID_PLACEHOLDER, trace_id)) as response:
            if response.status_code in NO_TRACE_STATUSES:
                return None
            if response.status_code != 200:
                raise _unavailable(f"answered with the status {response.status_code}")
            chunks = []
            async for chunk in response.aiter_bytes():
                room.take(len(chunk))
                chunks.append(chunk)
            return b"".join(chunks)


class _ByteBudget:
    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _unavailable(f"answered with more than {MAX_BYTES // 2**20} MiB")


def _decoded(trace_ids: Sequence[str], bodies: Sequence[bytes | None]) -> Mapping[str, Sequence[SpanRecord]]:
    pairs = zip(trace_ids, bodies, strict=True)
    return {trace_id: [] if body is None else decode_otlp(body, trace_id) for trace_id, body in pairs}


def _unavailable(why: str) -> ProblemError:
    log.warning("trace_viewer.unavailable", why=why)
    return trace_viewer_unavailable(why)
