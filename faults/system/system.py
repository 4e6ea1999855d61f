"""The system under test: an API, two coordinators and two workers, each restarted when it exits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from faults.observers.journal import DIRECTORY_VARIABLE, Journal
from faults.system.restarter import Restarter
from faults.system.sandbox import Sandbox
from harness.ports import free_port
from harness.processes import Service
from harness.waiting import eventually
from tests.system.system import FINAL_STATUSES, System
from tests.system.system import PLUGINS as SYSTEM_TEST_PLUGINS

PLUGINS = Path(__file__).parents[1] / "plugins"
CLOCK_DIR = Path(__file__).parents[1] / "clock"
#: Settings for the task types of the load.
TYPE_SETTINGS = {"TASKCORE_HTTP__ALLOWED_NETWORKS": '["127.0.0.0/8"]', "TASKCORE_HTTP__TIMEOUT_S": "600"}
WORKERS = ("worker-1", "worker-2")
COORDINATORS = ("coordinator-1", "coordinator-2")


class SupervisedSystem(System):
    """`env` applies to all processes, `own_env` to single ones by name: `api`, `worker-1`, `coordinator-2`."""

    def __init__(
        self,
        sandbox: Sandbox,
        env: Mapping[str, str] | None = None,
        own_env: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(
            sandbox.services, sandbox.database_url, sandbox.virtual_host.amqp_url, {**TYPE_SETTINGS, **(env or {})}
        )
        self._env["TASKCORE_DATABASES__OWN__URL"] = sandbox.database_url
        self.sandbox = sandbox
        self.restarter = Restarter(sandbox.services)
        self.journal = Journal(sandbox.directory / "journal")
        self._own_env = own_env or {}
        self._port = str(free_port())
        self.url = f"http://127.0.0.1:{self._port}"

    def start_all(self) -> None:
        """Start all processes and return when all of them work."""
        self.start_restartable_api()
        for name in COORDINATORS:
            self._add(name, "taskworker", "coordinate")
        for name in WORKERS:
            self._add(name, "taskworker", "run")
        self.restarter.start()
        self.warm_up_workers()

    def start_restartable_api(self) -> None:
        self._add("api", "taskapi", TASKCORE_API__PORT=self._port)
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", trust_env=False, timeout=90)
        eventually(lambda: self.restarter["api"].is_ready, description="the API being ready")

    def close(self) -> None:
        self.restarter.close()
        super().close()

    def worker_id(self, name: str) -> int:
        """Return the id in the database of the worker's current run."""
        return int(self.scalar("SELECT max(id) FROM worker WHERE pid = %s", self.restarter[name].pid))

    def wait_until_ready(self, name: str) -> Service:
        """Wait until the process is ready and return its current run."""
        eventually(lambda: self.restarter[name].is_ready, 120, description=f"{name} being ready")
        return self.restarter[name]

    def shift_clock(self, name: str, shift_s: float) -> None:
        """Shift the clock of a process. The first shift takes effect when the process restarts."""
        new = self._clock(name).with_suffix(".new")
        new.write_text(str(shift_s))
        new.rename(self._clock(name))

    def executors(self, name: str) -> list[psutil.Process]:
        """Return the executor processes of a worker, without the child processes of isolated tasks."""
        children = psutil.Process(self.restarter[name].pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the process and all its descendants."""
        main = psutil.Process(self.restarter[name].pid)
        return [main, *main.children(recursive=True)]

    def count_open_tasks(self) -> int:
        """Return how many tasks are not finished."""
        return int(self.scalar("SELECT count(*) FROM task WHERE status <> ALL(%s)", list(FINAL_STATUSES)))

    def metric(self, name: str, counter: str) -> float:
        """Return the counter's sum over all labels, in the current run of the process."""
        page = httpx.get(f"{self.restarter[name].health_url}/metrics", trust_env=False, timeout=30).text
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(counter))

    def warm_up_workers(self, *, in_processes: bool = False) -> None:
        """A worker is ready when its executors have been started, which is a few seconds before they are at work.

        Here each of them has run tasks, `in_processes` too.
        """
        for name in (*COORDINATORS, *WORKERS):
            self.wait_until_ready(name)
        eventually(lambda: self._warm_up(in_processes), poll_s=0, description="every executor having run a task")

    def _warm_up(self, in_processes: bool) -> bool:
        """Run a batch of tasks. Return whether every executor has run one by now."""
        tasks = [("work", 50), ("work_isolated", 8 * in_processes)]
        self.wait_for(one for type_, count in tasks for one in self.submit_many(count, type_, {"seconds": 0.02}))
        executors = [one for name in WORKERS for one in self.executors(name)]
        have_run = {file.name for file in self.journal.directory.iterdir()}
        return all(str(one.pid) in have_run and (one.children() or not in_processes) for one in executors)

    def _add(self, name: str, *command: str, **env: str) -> None:
        paths = {
            "PYTHONPATH": f"{PLUGINS}:{SYSTEM_TEST_PLUGINS}:{CLOCK_DIR}",
            "FAULTS_CLOCK": str(self._clock(name)),
            DIRECTORY_VARIABLE: str(self.journal.directory),
        }
        self.restarter.add(name, *command, env={**self._env, **paths, **env, **self._own_env.get(name, {})})

    def _clock(self, name: str) -> Path:
        return self.sandbox.directory / f"clock-{name}"


@contextmanager
def running_system(
    sandbox: Sandbox, env: Mapping[str, str] | None = None, own_env: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[SupervisedSystem]:
    system = SupervisedSystem(sandbox, env, own_env)
    system.start_all()
    try:
        yield system
    finally:
        system.close()


def wait(seconds: float) -> None:
    """Wait for a duration that is part of the fault."""
    time.sleep(seconds)
