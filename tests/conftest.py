"""Fixtures for all tests. The real servers behind them are in `harness`."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from harness.reaper import Reaper

pytest_plugins = [
    "harness.postgres",
    "harness.rabbitmq.broker",
    "harness.processes",
    "harness.smtp_server",
    "harness.http_server",
    "harness.otlp_receiver",
    "harness.span_recorder",
    "harness.shared_servers",
]

# A shell that runs the tests in the background may ignore SIGINT, and every child process would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    reaper = Reaper()
    yield reaper
    reaper.close()
