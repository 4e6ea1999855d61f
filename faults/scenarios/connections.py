"""Clients of the API that connect and then say nothing, or too little."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx

from faults.registry import fault
from faults.scenarios.postgres import require_no_process_died
from faults.trial import Trial

SILENT = 1_300
HALF_SENT = 300
RESPONSE_LIMIT_S = 1.0

_HALF_A_REQUEST = b"POST /api/v1/tasks HTTP/1.1\r\nHost: api\r\nContent-Length: 4096\r\n\r\n{"


@fault(
    "silent-connections",
    action="1,300 silent connections to the API and 300 half-sent requests for 30 s",
    criterion="health responds within 1 s; 95 % completed",
)
def silent_connections(trial: Trial) -> None:
    slowest_s = 0.0
    with trial.under_load() as load, ExitStack() as stack:
        _connect(trial, stack)
        until = time.monotonic() + trial.config.pick(30, 3)
        while time.monotonic() < until:
            slowest_s = max(slowest_s, *(_response_s(trial, path) for path in ("livez", "readyz", "metrics")))
    trial.at_most("slowest health response s", slowest_s, RESPONSE_LIMIT_S)
    trial.figures["slowest response s"] = round(load.slowest_s(), 3)
    require_no_process_died(trial)


def _connect(trial: Trial, stack: ExitStack) -> None:
    parts = urlsplit(trial.system.url)
    for number in range(SILENT + HALF_SENT):
        connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=30))
        if number >= SILENT:
            connection.sendall(_HALF_A_REQUEST)


def _response_s(trial: Trial, path: str) -> float:
    began = time.monotonic()
    response = httpx.get(f"{trial.system.restarter['api'].health_url}/{path}", trust_env=False, timeout=30)
    trial.require(response.is_success, f"/{path} returned {response.status_code}")
    return time.monotonic() - began
