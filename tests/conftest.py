"""Fixtures for all tests. The real servers behind them are in `harness`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.reaper import Reaper

TESTS = Path(__file__).parent

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


#: Fixtures that start programs, and fixtures that start a server for one test or use the broker.
SYSTEM_FIXTURES = {"services"}
SLOW_FIXTURES = {"private_postgres", "private_rabbitmq", "rabbitmq_management"}

#: Files whose tests race, generate inputs, start processes, or wait for timeouts, which takes seconds.
SLOW_FILES = {
    "collector_analytics/test_hanging_databases.py",
    "collector_analytics/test_measurement.py",
    "collector_k8s/ingest/test_api_failures.py",
    "collector_k8s/ingest/test_expired_versions.py",
    "collector_k8s/ingest/test_failures_in_any_order.py",
    "collector_k8s/ingest/test_slow_storage.py",
    "taskapi/kubernetes/test_following_events.py",
    "taskapi/test_contract.py",
    "taskclient/cli/test_program.py",
    "taskclient/cli/test_yaml.py",
    "taskcore/db/tasks/test_interleavings.py",
    "taskcore/db/tasks/test_reference_model.py",
    "taskcore/db/test_migrations.py",
    "taskcore/db/test_roles.py",
    "taskcore/leasing/test_lease_manager.py",
    "taskcore/observability/test_logging.py",
    "taskcore/observability/test_multiprocess_metrics.py",
    "taskcore/submission/test_schedule_races.py",
    "taskworker/supervisor/test_executor_handle.py",
    "taskworker/types/command/test_run_command_interrupts.py",
    "taskworker/types/email/test_headers.py",
    "taskworker/types/query/test_run_query_large_rows.py",
    "test_programs.py",
}
SLOW_FOLDERS = {
    "charts",
    "taskcore/db/tasks/dependencies",
    "taskcore/db/tasks/history",
    "taskcore/execution/children",
    "taskcore/execution/isolation",
    "taskstandalone/postgres",
}
SYSTEM_FOLDERS = {"system", "faults"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they start, and put the files with long tests first, so that a parallel run ends evenly."""
    for item in items:
        if is_in(item, SYSTEM_FOLDERS) or uses(item, SYSTEM_FIXTURES):
            item.add_marker("system")
        if path_of(item) in SLOW_FILES or is_in(item, SLOW_FOLDERS) or uses(item, SLOW_FIXTURES):
            item.add_marker("slow")
    long_files = {item.path for item in items if item.get_closest_marker("system") or item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long_files)


def path_of(item: pytest.Item) -> str:
    """Return the file of a test, relative to this folder."""
    return item.path.relative_to(TESTS).as_posix() if item.path.is_relative_to(TESTS) else ""


def is_in(item: pytest.Item, folders: set[str]) -> bool:
    return any(path_of(item).startswith(f"{folder}/") for folder in folders)


def uses(item: pytest.Item, fixtures: set[str]) -> bool:
    return not fixtures.isdisjoint(getattr(item, "fixturenames", ()))
