"""The system as it is deployed: an API, two coordinators, two workers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import MakeSystem
from tests.acceptance.system import System
from tests.support.mail import MailServer
from tests.support.processes import PROGRAMS


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def system(make_system: MakeSystem, database_url: str, mail_server: MailServer) -> System:
    system = make_system(
        {
            "TASKCORE_DATABASES": json.dumps({"default": {"url": database_url}}),
            "TASKCORE_SMTP__HOST": mail_server.host,
            "TASKCORE_SMTP__PORT": str(mail_server.port),
        }
    )
    system.start(coordinators=2, workers=2)
    return system


def test_the_end_to_end_check_succeeds(system: System, mail_server: MailServer) -> None:
    address = str(system.api.base_url).removesuffix("/api/v1/")
    command = [str(PROGRAMS / "task-cli"), "--address", address, "end2end", "-n", "100"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len({message["Subject"] for message in mail_server.messages}) == 50


def test_each_of_many_tasks_runs_exactly_once(system: System) -> None:
    task_ids = system.submit_many(20_000, "noop")

    system.wait_for(task_ids, timeout_s=240)

    system.require_one_run_each(task_ids)
    assert system.value("SELECT count(*) FROM outbox") == 0
