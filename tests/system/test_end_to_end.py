"""The system as it is deployed: an API, two coordinators, two workers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from harness.processes import BIN_DIR
from harness.smtp_server import SmtpServer
from harness.waiting import eventually
from taskcore.db.engine import sync_engine
from taskcore.db.schedules.managed import ensure_managed_schedule
from tests.charts.helm_test import run_helm_test
from tests.system.conftest import MakeSystem
from tests.system.system import System


@pytest.fixture(scope="module")
def mail_server() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def system(make_system: MakeSystem, database_url: str, mail_server: SmtpServer) -> System:
    system = make_system(
        {
            "TASKCORE_DATABASES": json.dumps({"default": {"url": database_url}}),
            "TASKCORE_SMTP__HOST": mail_server.host,
            "TASKCORE_SMTP__PORT": str(mail_server.port),
        }
    )
    system.start(coordinators=2, workers=2)
    return system


def test_end2end_command_succeeds(system: System, mail_server: SmtpServer) -> None:
    address = str(system.api.base_url).removesuffix("/api/v1/")
    command = [str(BIN_DIR / "task-cli"), "--address", address, "end2end", "-n", "100"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len({message["Subject"] for message in mail_server.messages}) == 50


def test_helm_test_succeeds(system: System) -> None:
    tested = run_helm_test(str(system.api.base_url).removesuffix("/api/v1/"), seconds=120)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert tested.stdout.rstrip().endswith("succeeded")


def test_each_of_many_tasks_runs_exactly_once(system: System) -> None:
    task_ids = system.submit_many(20_000, "noop")

    system.wait_for(task_ids, timeout_s=240)

    system.assert_each_ran_once(task_ids)
    assert system.scalar("SELECT count(*) FROM outbox") == 0


def fire_every(system: System, every_s: float) -> None:
    """Create the schedule `beat`, or change its interval."""
    engine = sync_engine(system.database_url, name="tests", pool_size=1)
    with engine.connect() as connection:
        task = {"name": "beat", "type": "noop"}
        connection.execute(ensure_managed_schedule("beat", managed_by="tests", every_s=every_s, task=task))
        connection.execute(text("NOTIFY taskcore_schedules"))
    engine.dispose()


def test_schedule_fires_each_time_once_and_a_new_interval_applies_at_once(system: System) -> None:
    fires = "SELECT due_at, task_id FROM schedule_fire WHERE task_id IS NOT NULL ORDER BY due_at"
    fire_every(system, 3_600)
    eventually(lambda: len(system.sql(fires)) == 1, 60, description="the run at the start")

    fire_every(system, 1)
    eventually(lambda: len(system.sql(fires)) >= 4, 60, description="three fires, a second apart")
    fire_every(system, 3_600)

    fired = system.sql(fires)
    tasks = [row["task_id"] for row in fired]
    system.wait_for(tasks, "succeeded")
    system.assert_each_ran_once(tasks)
    assert all((row["due_at"] - fired[1]["due_at"]).total_seconds() % 1 == 0 for row in fired[1:])
    labelled = """SELECT count(*) FROM task WHERE labels = '{"taskcore.io/schedule": "beat"}'"""
    assert system.scalar(labelled) == len(tasks)
