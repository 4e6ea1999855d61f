"""Everything in one process on one machine, which continues after any stop."""

from __future__ import annotations

import json
import mailbox
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from harness.metrics import parse_series, scrape
from harness.processes import BIN_DIR, Service, Services, is_alive
from harness.reaper import Reaper
from harness.waiting import eventually
from taskcore.db.engine import sync_engine
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from tests.collector_k8s.fakes.cluster import running_cluster
from tests.collector_k8s.fakes.event_json import event
from tests.system.system import FINAL_STATUSES
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.submission.timetable import add_schedule, fired_times


@pytest.fixture(scope="module")
def data_dir(reaper: Reaper) -> Iterator[Path]:
    """Yield a directory outside of pytest's own, which each pytest that starts on this machine closes to PostgreSQL."""
    with TemporaryDirectory(prefix="taskcore-test-") as directory:
        reaper.watch_directory(Path(directory))
        yield Path(directory)


@pytest.fixture
def standalone(services: Services, data_dir: Path, reaper: Reaper) -> Iterator[Service]:
    """Start a standalone on the data of the previous tests."""
    with running(services, data_dir, reaper) as service:
        yield service


@contextmanager
def running(services: Services, data_dir: Path, reaper: Reaper, **env: str) -> Iterator[Service]:
    service = services.start("taskcore-standalone", env={"TASKCORE_DATA_DIR": str(data_dir), **env})
    server = database_server(service).pid
    reaper.watch_group(server)
    yield service
    if service.is_running:
        service.terminate()
    if not psutil.pid_exists(server):
        reaper.forget_group(server)


def database_server(service: Service) -> psutil.Process:
    """Return the main process of its PostgreSQL."""
    data_dir = Path(psutil.Process(service.pid).environ()["TASKCORE_DATA_DIR"])
    return psutil.Process(int((data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0]))


@contextmanager
def open_database(data_dir: Path) -> Iterator[DatabaseHarness]:
    """Open its database while it runs."""
    engine = sync_engine(EmbeddedPostgres(data_dir).url, name="tests", pool_size=1)
    yield DatabaseHarness(engine)
    engine.dispose()


def spans_of(api: httpx.Client, task_id: int) -> list[set[str]]:
    """Return the span names of each of the task's traces."""
    answer = api.get(f"/tasks/{task_id}/trace").raise_for_status().json()
    return [{span["name"] for span in trace["spans"]} for trace in answer["traces"]]


def kill_with_database(service: Service) -> None:
    """Send SIGKILL to all processes at once, as when the machine loses power."""
    server = database_server(service)
    processes = [*server.children(), server, psutil.Process(service.pid)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)  # so that none reacts to the end of another
    for process in processes:
        process.kill()
    service.wait()


def client(service: Service) -> httpx.Client:
    return httpx.Client(base_url=f"{service.url}/api/v1", trust_env=False, timeout=90)


def submit(api: httpx.Client, count: int, type_: str, **fields: Any) -> list[int]:
    tasks = [{"name": f"standalone {type_}", "type": type_, **fields}] * count
    results = api.post("/tasks/batch", json={"tasks": tasks}).json()["results"]
    return [result["id"] for result in results]


def submit_delayed(api: httpx.Client, count: int, seconds: float) -> list[int]:
    """Submit tasks that are due in `seconds`."""
    return submit(api, count, "noop", run_at=(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat())


def statuses(api: httpx.Client, task_ids: list[int]) -> list[str]:
    return [api.get(f"/tasks/{task_id}").json()["status"] for task_id in task_ids]


def test_end2end_command_succeeds_and_its_mail_can_be_read(standalone: Service, data_dir: Path) -> None:
    command = [str(BIN_DIR / "task-cli"), "--address", standalone.url, "-o", "json", "end2end", "-n", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["counts"]["succeeded"] == 100
    with closing(mailbox.Maildir(str(data_dir / "mail"), create=False)) as mails:
        assert len({message["Subject"] for message in mails}) == 50


def test_collects_its_own_analytics(standalone: Service) -> None:
    with client(standalone) as api:
        eventually(lambda: api.get("/tasks", params={"type": "collect_analytics"}).json()["items"])
        (measuring, *_) = api.get("/tasks", params={"type": "collect_analytics"}).json()["items"]

        eventually(lambda: statuses(api, [measuring["id"]]) == ["succeeded"])


def test_one_page_has_the_metrics_of_all_parts(standalone: Service) -> None:
    with client(standalone) as api:
        (task_id,) = submit(api, 1, "sleep", parameters={"seconds": 0})
        eventually(lambda: statuses(api, [task_id]) == ["succeeded"])

    seen = parse_series(scrape(standalone.health_url))

    assert seen["taskcore_workers_live{}"] == 1
    assert seen["taskcore_tasks{queued}"] >= 0
    assert seen["taskcore_enqueue_to_start_seconds_count{sleep}"] >= 1
    assert seen["taskcore_http_requests_total{POST,/api/v1/tasks/batch,201}"] >= 1
    assert seen["process_resident_memory_bytes{}"] > 0


def test_task_has_a_trace_per_attempt(standalone: Service) -> None:
    bad = {"database": "default", "query": "SELECT 1 / 0"}
    with client(standalone) as api:
        (task_id,) = submit(api, 1, "run_query", parameters=bad, max_attempts=1)
        eventually(lambda: statuses(api, [task_id]) == ["failed"])
        api.post(f"/tasks/{task_id}/retry").raise_for_status()
        eventually(lambda: len(spans_of(api, task_id)) == 2 and "settle" in spans_of(api, task_id)[1])
        first, second = api.get(f"/tasks/{task_id}/trace").json()["traces"]
        url = api.get(f"/tasks/{task_id}").json()["trace_url"]
        page = httpx.get(url)
    command = [str(BIN_DIR / "task-cli"), "--address", standalone.url, "trace", "--id", str(task_id)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert {"wait in default", "relay default", "run run_query", "settle"} <= {span["name"] for span in first["spans"]}
    assert (first["attempts"], second["attempts"]) == ([1], [2])
    assert url == f"{standalone.url}/tasks/{task_id}/trace#{first['trace_id']}"
    assert (page.status_code, f'id="{first["trace_id"]}"' in page.text) == (200, True)
    assert "attempt 2, linked to attempt 1" in printed
    assert "ERROR" in printed


def test_unavailable_cluster_does_no_harm_and_its_events_arrive_later(
    services: Services, data_dir: Path, reaper: Reaper, tmp_path: Path
) -> None:
    with running_cluster(tmp_path) as cluster:
        cluster.stop()
        env = {"TASKCORE_KUBERNETES__KUBECONFIG": str(cluster.kubeconfig)}
        with running(services, data_dir, reaper, **env) as service, client(service) as api:
            task_ids = submit(api, 10, "noop")
            eventually(lambda: statuses(api, task_ids) == ["succeeded"] * 10)

            cluster.start()
            cluster.put(event("web-1"))

            eventually(lambda: [item["name"] for item in api.get("/events").json()["items"]] == ["web-1"])


@pytest.mark.parametrize("with_database", [False, True], ids=["alone", "with its database"])
def test_continues_after_a_kill(services: Services, data_dir: Path, reaper: Reaper, with_database: bool) -> None:
    with running(services, data_dir, reaper) as killed, client(killed) as api:
        running_ids = submit(api, 4, "sleep", parameters={"seconds": 2})
        eventually(lambda: statuses(api, running_ids) == ["running"] * 4)
        waiting_ids = submit(api, 20, "sleep", parameters={"seconds": 0.2}) + submit_delayed(api, 5, seconds=4)
        if with_database:
            kill_with_database(killed)
        else:
            killed.kill()

    task_ids = running_ids + waiting_ids
    with running(services, data_dir, reaper) as again, client(again) as api:
        eventually(lambda: all(status in FINAL_STATUSES for status in statuses(api, task_ids)))

        assert statuses(api, task_ids) == ["succeeded"] * len(task_ids)
        for task_id in running_ids:
            attempts = api.get(f"/tasks/{task_id}/attempts").json()["items"]
            assert [attempt["outcome"] for attempt in attempts] == ["lost", "succeeded"]


def test_continues_after_a_graceful_stop(services: Services, data_dir: Path, reaper: Reaper) -> None:
    with running(services, data_dir, reaper) as stopped, client(stopped) as api:
        with open_database(data_dir) as db:
            beat = add_schedule(db, datetime.now(UTC), "beat", every_s=1.0)
            db.sql("NOTIFY taskcore_schedules")
            eventually(lambda: fired_times(db, beat))
        task_ids = submit(api, 50, "sleep", parameters={"seconds": 0.2}) + submit_delayed(api, 5, seconds=4)
        eventually(lambda: "running" in statuses(api, task_ids))
        assert stopped.terminate() == 0

    with running(services, data_dir, reaper) as again, client(again) as api:
        eventually(lambda: all(status in FINAL_STATUSES for status in statuses(api, task_ids)))

        tasks = [api.get(f"/tasks/{task_id}").json() for task_id in task_ids]
        assert {(task["status"], task["failures"]) for task in tasks} == {("succeeded", 0)}
        for task_id in task_ids:
            attempts = api.get(f"/tasks/{task_id}/attempts").json()["items"]
            assert {attempt["outcome"] for attempt in attempts} <= {"released", "succeeded"}
        with open_database(data_dir) as db:
            restarted = datetime.now(UTC)
            times = eventually(lambda: [times for times in [fired_times(db, beat)] if times[-1] > restarted])[0]
            db.sql("DELETE FROM schedule")
    assert [later - earlier for earlier, later in pairwise(times)] == [timedelta(seconds=1)] * (len(times) - 1)


def test_waiting_client_does_not_delay_shutdown(standalone: Service, data_dir: Path) -> None:
    with client(standalone) as api:
        (task_id,) = submit_delayed(api, 1, seconds=3600)
        answers: list[httpx.Response] = []
        waiting = threading.Thread(
            target=lambda: answers.append(api.get(f"/tasks/{task_id}/wait", params={"timeout": 60}))
        )
        waiting.start()
        listening = "SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN taskcore_settled'"
        with psycopg.connect(EmbeddedPostgres(data_dir).url, autocommit=True) as database:
            eventually(lambda: database.execute(listening).fetchall())

        code = standalone.terminate(timeout_s=40)
        waiting.join()

    assert code == 0
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "scheduled")]


def test_commands_run_in_child_processes_that_end_with_it(services: Services, data_dir: Path, reaper: Reaper) -> None:
    commands = {"greet": {"argv": ["echo", "hello"]}, "stay": {"argv": ["sh", "-c", "echo $$; exec sleep 600"]}}
    with running(services, data_dir, reaper, TASKCORE_COMMANDS=json.dumps(commands)) as killed, client(killed) as api:
        greeting, staying = (
            submit(api, 1, "run_command", parameters={"command": name}, max_attempts=1)[0] for name in commands
        )
        eventually(lambda: statuses(api, [greeting]) == ["succeeded"])
        lines = eventually(lambda: api.get(f"/tasks/{staying}/logs").json()["items"])

        assert api.get(f"/tasks/{greeting}").json()["result"] == {"exit_code": 0, "output": "hello\n"}
        killed.kill()

    eventually(lambda: not is_alive(int(lines[0]["message"])))
