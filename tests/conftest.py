"""Fixtures for all tests. Each of the real parts that they stand for is a module of `harness`."""

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
]

# Whoever runs the tests in the background may have had it ignored, which every process that they start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    reaper = Reaper()
    yield reaper
    reaper.close()
