"""Executors for isolated attempts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.taskcore.execution.isolation.isolation_harness import IsolationHarness, MakeHarness, RecordingServices


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolationHarness]:
    harness = IsolationHarness(tmp_path_factory.mktemp("behaviours"), kill_after_s=60)
    yield harness
    harness.executor.close()


@pytest.fixture
def harness(shared: IsolationHarness) -> IsolationHarness:
    """A harness that kills nothing: what ends here ends by itself."""
    shared.services = RecordingServices()
    return shared


@pytest.fixture
def make_harness(tmp_path: Path) -> Iterator[MakeHarness]:
    harnesses: list[IsolationHarness] = []

    def make(kill_after_s: float) -> IsolationHarness:
        harnesses.append(IsolationHarness(tmp_path, kill_after_s))
        return harnesses[-1]

    yield make
    for harness in harnesses:
        harness.executor.close()
