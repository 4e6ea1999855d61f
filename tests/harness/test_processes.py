"""Starting and stopping programs behaves as the tests that use it expect."""

from __future__ import annotations

import psutil
import pytest

from harness.processes import Services


def test_started_program_is_ready(services: Services, database_url: str) -> None:
    api = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url})

    assert api.is_ready
    assert api.terminate() == 0
    assert not api.is_ready


def test_program_that_fails_to_start_shows_its_log(services: Services) -> None:
    with pytest.raises(RuntimeError, match="TASKCORE_API__PORT"):
        services.start("taskapi", env={"TASKCORE_API__PORT": "none"})


def test_kill_all_leaves_no_process(services: Services, database_url: str) -> None:
    api = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url, "TASKCORE_API__PROCESSES": "2"})
    processes = [psutil.Process(api.pid), *psutil.Process(api.pid).children(recursive=True)]

    api.kill()
    services.kill_all()

    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes)
