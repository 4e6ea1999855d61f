"""Taskcore as separate processes: an API, coordinators, workers, with a database and a broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from harness.processes import Service, Services
from harness.waiting import eventually

PLUGINS = Path(__file__).with_name("plugins")
FINAL_STATUSES = ("succeeded", "failed", "cancelled")
MAX_BATCH = 10_000


class System:
    """Starts processes on request. `api` is a client of its API, `sql` queries its database."""

    def __init__(self, services: Services, database_url: str, amqp_url: str, env: Mapping[str, str]) -> None:
        self._services = services
        self.database_url = database_url
        self._env = {"TASKCORE_DATABASE_URL": database_url, "TASKCORE_AMQP_URL": amqp_url, **env}
        self.api: httpx.Client
        self.api_health_url: str
        self.coordinators: list[Service] = []

    def start(self, *, coordinators: int = 2, workers: int = 0) -> None:
        """Start the API and this many of the others. Return when all are ready."""
        api = self.start_api(ready=False)
        others = [self.start_coordinator(ready=False) for _ in range(coordinators)]
        others += [self.start_worker(ready=False) for _ in range(workers)]
        for service in (api, *others):
            service.wait_until_ready()
        self.api_health_url = api.health_url
        self.api = httpx.Client(base_url=f"{api.url}/api/v1", trust_env=False, timeout=90)

    def start_api(self, *, ready: bool = True) -> Service:
        return self._services.start("taskapi", env=self._env, ready=ready)

    def start_coordinator(self, *, ready: bool = True) -> Service:
        self.coordinators.append(self._services.start("taskworker", "coordinate", env=self._env, ready=ready))
        return self.coordinators[-1]

    def start_analytics(self, *, ready: bool = True, **env: str) -> Service:
        return self._services.start("collector-analytics", env=self._env | env, ready=ready)

    def start_worker(self, *, plugins: bool = True, ready: bool = True, **settings: Any) -> Service:
        """Start a worker. `settings` are worker settings: `threads=8` is `TASKCORE_WORKER__THREADS=8`."""
        env = {f"TASKCORE_WORKER__{name.upper()}": str(value) for name, value in settings.items()}
        if plugins:
            env["PYTHONPATH"] = str(PLUGINS)
        return self._services.start("taskworker", "run", env=self._env | env, ready=ready)

    @contextmanager
    def worker(self, *, plugins: bool = True, **settings: Any) -> Iterator[Service]:
        """Run a worker for one test, and stop it gracefully afterwards."""
        service = self.start_worker(plugins=plugins, **settings)
        try:
            yield service
        finally:
            if service.is_running:
                service.terminate()

    def register_types(self) -> None:
        """Start and stop a worker, so that its task types are registered."""
        self.start_worker(processes=1).terminate()

    def submit(self, type_: str, parameters: Mapping[str, Any] | None = None, **fields: Any) -> int:
        """Submit a task and return its id."""
        response = self.api.post("/tasks", json=_task(type_, parameters, fields))
        assert response.status_code == 201, response.text
        return int(response.json()["id"])

    def submit_many(
        self, count: int, type_: str, parameters: Mapping[str, Any] | None = None, **fields: Any
    ) -> list[int]:
        """Submit `count` equal tasks and return their ids."""
        ids: list[int] = []
        while missing := count - len(ids):
            tasks = [_task(type_, parameters, fields)] * min(missing, MAX_BATCH)
            response = self.api.post("/tasks/batch", json={"tasks": tasks})
            assert response.status_code == 201, response.text
            ids += [result["id"] for result in response.json()["results"]]
        return ids

    def task(self, task_id: int) -> dict[str, Any]:
        response = self.api.get(f"/tasks/{task_id}")
        assert response.status_code == 200, response.text
        task: dict[str, Any] = response.json()
        return task

    def attempts(self, task_id: int) -> list[dict[str, Any]]:
        attempts: list[dict[str, Any]] = self.api.get(f"/tasks/{task_id}/attempts").json()["items"]
        return attempts

    def history(self, task_id: int) -> list[str]:
        """Return the statuses of the task so far, in order."""
        return [entry["to_status"] for entry in self.api.get(f"/tasks/{task_id}/history").json()["items"]]

    def wait_for(self, task_ids: int | Iterable[int], *statuses: str, timeout_s: float = 120) -> None:
        """Wait until each task has one of `statuses`, by default any final one."""
        ids = [task_ids] if isinstance(task_ids, int) else list(task_ids)
        wanted = list(statuses or FINAL_STATUSES)

        def have_arrived() -> bool:
            counts = "SELECT status, count(*) FROM task WHERE id = ANY(%s) AND status <> ALL(%s) GROUP BY 1"
            elsewhere = self.sql(counts, ids, wanted)
            assert not elsewhere, elsewhere
            return True

        eventually(have_arrived, timeout_s, description=f"{len(ids)} tasks having status {wanted}")

    def sql(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a statement. It uses a new connection, since the server may have been restarted."""
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def scalar(self, query: str, *parameters: object) -> Any:
        """Return the single value of the single row."""
        ((value,),) = (row.values() for row in self.sql(query, *parameters))
        return value

    def close(self) -> None:
        if hasattr(self, "api"):
            self.api.close()

    def assert_each_ran_once(self, task_ids: Sequence[int]) -> None:
        """Assert that each task succeeded with one attempt, and that its history says the same."""
        statuses = self.sql("SELECT status, attempt, count(*) FROM task WHERE id = ANY(%s) GROUP BY 1, 2", task_ids)
        assert statuses == [{"status": "succeeded", "attempt": 1, "count": len(task_ids)}]
        attempts = self.sql(
            "SELECT outcome, attempt, count(*), count(DISTINCT task_id) AS tasks FROM task_attempt"
            " WHERE task_id = ANY(%s) GROUP BY 1, 2",
            task_ids,
        )
        assert attempts == [{"outcome": "succeeded", "attempt": 1, "count": len(task_ids), "tasks": len(task_ids)}]
        histories = self.sql(
            "SELECT went, count(*) FROM (SELECT array_agg(to_status ORDER BY id) AS went FROM task_history"
            " WHERE task_id = ANY(%s) GROUP BY task_id) histories GROUP BY 1",
            task_ids,
        )
        assert histories == [{"went": ["queued", "running", "succeeded"], "count": len(task_ids)}]


def _task(type_: str, parameters: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": f"system test {type_}", "type": type_, "parameters": dict(parameters or {}), **fields}
