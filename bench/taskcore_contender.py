"""Taskcore as an operator runs it: one `taskapi`, one `taskworker coordinate` and one `taskworker run`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, LiteralString, Self

import psutil
import psycopg

from bench.connection import post_all, post_request
from bench.contender import DEADLINE_S, PREFETCH, PROCESSES, THREADS, RunWindow
from bench.servers import Servers
from harness.processes import Service
from harness.waiting import eventually

BATCH = 1_000
SINGLE_CONNECTIONS = 16
NOOP = {"name": "noop", "type": "noop", "parameters": {}}

IS_FINISHED = "SELECT NOT EXISTS (SELECT FROM task WHERE status IN ('scheduled', 'queued', 'running', 'retrying'))"
#: A task ends when its result is recorded, which is after its plugin returned.
RUN_WINDOW = """
    SELECT extract(epoch FROM (SELECT min(started_at) FROM task WHERE id > %(after)s))::float,
           extract(epoch FROM (SELECT max(at) FROM task_history WHERE task_id > %(after)s))::float,
           (SELECT count(*) FROM task WHERE id > %(after)s AND status = 'succeeded')
"""


class Taskcore:
    """A context manager. `settings`: more environment variables; `batch`: the maximum number of tasks per request."""

    def __init__(
        self,
        servers: Servers,
        name: str = "taskcore",
        settings: Mapping[str, str] = MappingProxyType({}),
        batch: int = BATCH,
    ) -> None:
        self.name = name
        self._batch = batch
        self._servers = servers
        self._environment = {
            "TASKCORE_DATABASE_URL": servers.database_url,
            "TASKCORE_AMQP_URL": servers.taskcore_amqp_url,
            "TASKCORE_WORKER__PROCESSES": str(PROCESSES),
            "TASKCORE_WORKER__THREADS": str(THREADS),
            "TASKCORE_WORKER__PREFETCH_SHORT": str(PREFETCH - THREADS),
            **settings,
        }
        self.database = psycopg.connect(servers.superuser_url, autocommit=True, application_name="bench")
        self._api = self._start("taskapi")
        self._coordinator = self._start("taskworker", "coordinate")
        self._start("taskworker", "run").terminate()  # this registers its task types
        self._workers: Service | None = None
        self._requests: list[bytes] = []
        self._tasks = 0
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.stop_workers()
        for service in (self._api, self._coordinator):
            service.terminate()
        self.database.close()

    @property
    def url(self) -> str:
        return self._api.url

    def prepare(self, tasks: int) -> None:
        sizes = [min(self._batch, tasks - done) for done in range(0, tasks, self._batch)]
        bodies = [json.dumps({"tasks": [NOOP] * size}).encode() for size in sizes]
        self._requests = [post_request(self.url, "/api/v1/tasks/batch", body) for body in bodies]
        self._tasks = tasks
        self._last_id = self.last_id()

    def submit(self) -> None:
        asyncio.run(post_all(self.url, self._requests, 1 if self._batch > 1 else SINGLE_CONNECTIONS))

    def start_workers(self) -> None:
        self._workers = self._start("taskworker", "run", ready=False)

    def stop_workers(self) -> None:
        if self._workers is not None:
            self._workers.terminate()
            self._workers = None

    def flush_writes(self) -> None:
        self.database.execute("CHECKPOINT")

    def has_started(self) -> bool:
        some = "SELECT EXISTS (SELECT FROM task WHERE id > %s AND status <> 'queued')"
        return bool(self._scalar(some, self._last_id))

    def wait(self) -> RunWindow:
        self.wait_until_idle()
        row = self.database.execute(RUN_WINDOW, {"after": self._last_id}).fetchone()
        assert row is not None
        first, last, succeeded = row
        assert succeeded == self._tasks, f"{succeeded} of {self._tasks} tasks succeeded"
        return RunWindow(first, last)

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        assert self._workers is not None
        supervisor = psutil.Process(self._workers.pid)
        api = psutil.Process(self._api.pid)
        return {
            **self._backends(),
            "RabbitMQ": [self._servers.rabbitmq],
            "executors": supervisor.children(recursive=True),
            "supervisor": [supervisor],
            "coordinator": [psutil.Process(self._coordinator.pid)],
            "API": [api, *api.children(recursive=True)],
            "client": [psutil.Process()],
        }

    def wait_until_idle(self) -> None:
        eventually(self._is_finished, DEADLINE_S, poll_s=0.2, description="the end of the last task")

    def last_id(self) -> int:
        return int(self._scalar("SELECT coalesce(max(id), 0) FROM task"))

    def _is_finished(self) -> bool:
        return bool(self._scalar(IS_FINISHED))

    def _scalar(self, question: LiteralString, *parameters: object) -> Any:
        """Return the single value of a query."""
        row = self.database.execute(question, parameters).fetchone()
        assert row is not None
        return row[0]

    def _backends(self) -> dict[str, list[psutil.Process]]:
        """Return PostgreSQL's processes by the program they serve."""
        clients = self.database.execute("SELECT pid, application_name FROM pg_stat_activity").fetchall()
        names: dict[int, str] = dict(clients)
        roles: dict[str, list[psutil.Process]] = {"PostgreSQL itself": [self._servers.postgres]}
        for process in self._servers.postgres.children():
            roles.setdefault(_served(names.get(process.pid, "")), []).append(process)
        return roles

    def _start(self, *command: str, ready: bool = True) -> Service:
        return self._servers.services.start(*command, env=self._environment, ready=ready)


def _served(application: str) -> str:
    if application.startswith("taskworker coordinate"):
        return "PostgreSQL for the coordinator"
    if application.startswith("taskworker"):
        return "PostgreSQL for the executors"
    if application == "taskapi":
        return "PostgreSQL for the API"
    return "PostgreSQL itself"
