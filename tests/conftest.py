"""Fixtures for all tests. Each of the real parts that they stand for is a module of `tests.support`."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support.reaper import Reaper

pytest_plugins = [
    "tests.support.postgres",
    "tests.support.rabbitmq",
    "tests.support.processes",
    "tests.support.mail",
    "tests.support.web",
    "tests.support.otlp",
    "tests.support.spans",
]

# Whoever runs the tests in the background may have had it ignored, which every process that they start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    reaper = Reaper()
    yield reaper
    reaper.close()
