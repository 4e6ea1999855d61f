"""The tests' way to run our programs does what the tests rely on."""

from __future__ import annotations

import psutil
import pytest

from harness.processes import Services


def test_a_started_program_is_ready(services: Services, database_url: str) -> None:
    api = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url})

    assert api.is_ready
    assert api.terminate() == 0
    assert not api.is_ready


def test_a_program_that_ends_at_its_start_shows_its_log(services: Services) -> None:
    with pytest.raises(RuntimeError, match="TASKCORE_API__PORT"):
        services.start("taskapi", env={"TASKCORE_API__PORT": "none"})


def test_no_process_of_a_program_is_left(services: Services, database_url: str) -> None:
    api = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url, "TASKCORE_API__PROCESSES": "2"})
    processes = [psutil.Process(api.pid), *psutil.Process(api.pid).children(recursive=True)]

    api.kill()
    services.kill_all()

    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes)
