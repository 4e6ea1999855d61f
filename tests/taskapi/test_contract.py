"""Schemathesis tests the OpenAPI document against a real server, with valid, invalid and stateful requests."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from harness.processes import BIN_DIR, Services
from tests.taskapi.conftest import ANYTHING, GREET, register_type

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)

#: What workers do meanwhile: tasks do not wait for long, and have different outcomes.
WORK = """
    WITH finished AS (
        UPDATE task SET
            status = CASE id % 4 WHEN 0 THEN 'failed' ELSE 'succeeded' END,
            attempt = attempt + 1, result = '{"n": [1, null]}', started_at = created_at, finished_at = now()
        WHERE status IN ('queued', 'scheduled') AND created_at < now() - interval '100 ms'
        RETURNING id, attempt
    ), attempts AS (
        INSERT INTO task_attempt (task_id, attempt, worker_id, started_at, finished_at, outcome)
        SELECT id, attempt, 1, now(), now(), 'succeeded' FROM finished
    )
    DELETE FROM outbox WHERE task_id IN (SELECT id FROM finished)
"""

#: What collectors have stored: events, some of them not current, a gap of each kind, alerts, and samples.
COLLECTED = """
    INSERT INTO k8s_event (cluster, uid, resource_version, is_current, namespace, kind, name, reason, type, message,
        component, count, first_at, at, task_id)
    SELECT 'home', n / 2, n, n % 2 = 1, 'shop', 'Pod', 'web-' || n, 'BackOff', 'Warning', 'm', 'kubelet', 1, now(),
        now() - n * interval '1 s', nullif(n % 3, 0)
    FROM generate_series(0, 9) n;
    INSERT INTO k8s_gap (cluster, namespace, kind, reason, count, from_at, until_at)
    VALUES ('home', '', 'lost', NULL, NULL, now(), now()), ('home', 'shop', 'rate_limited', 'BackOff', 9, now(), now());
    INSERT INTO alert (rule, cluster, namespace, kind, name, reason, type, message, count, first_at, last_at, task_id)
    SELECT 'warning', 'home', 'shop', 'Pod', 'web-' || n, 'BackOff', 'Warning', 'm', 1, now(), now(), nullif(n, 3)
    FROM generate_series(1, 5) n;
    INSERT INTO analytics_metric VALUES ('submitted', '', '', 'count', 'a'), ('slots', '', '', 'gauge', 'b');
    INSERT INTO analytics_series (metric, labels) VALUES ('submitted', '{"type": "noop"}'), ('submitted', '{}');
    INSERT INTO analytics_sample
    SELECT id, now() - n * interval '8 hours', n FROM analytics_series, generate_series(0, 9) n
"""


def test_schemathesis_finds_no_response_that_the_document_does_not_describe(
    services: Services, database_url: str, tmp_path: Path
) -> None:
    register_type(database_url, "noop", ANYTHING)
    register_type(database_url, "greet", GREET)
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute(COLLECTED)
    server = services.start("taskapi", env={"TASKCORE_DATABASE_URL": database_url})

    with finishing_tasks(database_url):
        run = subprocess.run(
            [
                str(BIN_DIR / "schemathesis"),
                "run",
                f"{server.url}/openapi.json",
                f"--checks={','.join(CHECKS)}",
                "--mode=all",
                "--phases=examples,coverage,fuzzing,stateful",
                "--max-examples=25",
                "--seed=1",
                "--request-timeout=60",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
    assert "request.failed" not in server.log


@contextmanager
def finishing_tasks(url: str) -> Iterator[None]:
    """Finish tasks a moment after they were submitted."""
    done = threading.Event()

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not done.wait(0.02):
                if connection.execute(WORK).rowcount:
                    connection.execute("NOTIFY taskcore_settled")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join()
