"""Taskcore as it stands in each fault: an API, two coordinators and two workers, all kept alive."""

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
from tests.system.system import PLUGINS as ACCEPTANCE_PLUGINS

PLUGINS = Path(__file__).with_name("plugins")
CLOCK_DIR = Path(__file__).with_name("clock")
#: What the load's types need beside the servers.
TYPE_SETTINGS = {"TASKCORE_HTTP__ALLOWED_NETWORKS": '["127.0.0.0/8"]', "TASKCORE_HTTP__TIMEOUT_S": "600"}
WORKERS = ("worker-1", "worker-2")
COORDINATORS = ("coordinator-1", "coordinator-2")


class SupervisedSystem(System):
    """`env` is for all processes, `own_env` for single ones, by their names: `api`, `worker-1`, `coordinator-2`, …"""

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
        """Returns when all are at work."""
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
        eventually(self._answers, description="the API being ready")

    def close(self) -> None:
        self.restarter.close()
        super().close()

    def worker_id(self, name: str) -> int:
        """The database's id of the worker's present life."""
        return int(self.scalar("SELECT max(id) FROM worker WHERE pid = %s", self.restarter[name].pid))

    def wait_until_ready(self, name: str) -> Service:
        """Its present life, once it is ready."""
        eventually(lambda: self.restarter[name].is_ready, 120, description=f"{name} being ready")
        return self.restarter[name]

    def shift_clock(self, name: str, shift_s: float) -> None:
        """So far off from now on; the first time: from its next life on."""
        new = self._clock(name).with_suffix(".new")
        new.write_text(str(shift_s))
        new.rename(self._clock(name))

    def executors(self, name: str) -> list[psutil.Process]:
        """Those that run plugins beside each other; not the children in which single tasks run."""
        children = psutil.Process(self.restarter[name].pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def processes(self, name: str) -> list[psutil.Process]:
        """The process and all below it."""
        main = psutil.Process(self.restarter[name].pid)
        return [main, *main.children(recursive=True)]

    def count_open_tasks(self) -> int:
        """Accepted, and not over."""
        return int(self.scalar("SELECT count(*) FROM task WHERE status <> ALL(%s)", list(FINAL_STATUSES)))

    def metric(self, name: str, counter: str) -> float:
        """What the process `name` has counted in its present life, over all labels."""
        page = httpx.get(f"{self.restarter[name].url}/metrics", trust_env=False, timeout=30).text
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(counter))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=10).is_success
        except httpx.TransportError:
            return False

    def warm_up_workers(self, *, in_processes: bool = False) -> None:
        """A worker is ready when its executors have been started, which is a few seconds before they are at work.

        Here each of them has run tasks, `in_processes` too.
        """
        for name in (*COORDINATORS, *WORKERS):
            self.wait_until_ready(name)
        eventually(lambda: self._warm_up(in_processes), poll_s=0, description="every executor having run something")

    def _warm_up(self, in_processes: bool) -> bool:
        """Whether it was enough."""
        tasks = [("work", 50), ("work_isolated", 8 * in_processes)]
        self.wait_for(one for type_, count in tasks for one in self.submit_many(count, type_, {"seconds": 0.02}))
        executors = [one for name in WORKERS for one in self.executors(name)]
        have_run = {file.name for file in self.journal.directory.iterdir()}
        return all(str(one.pid) in have_run and (one.children() or not in_processes) for one in executors)

    def _add(self, name: str, *command: str, **env: str) -> None:
        paths = {
            "PYTHONPATH": f"{PLUGINS}:{ACCEPTANCE_PLUGINS}:{CLOCK_DIR}",
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
    """The time itself is part of a fault."""
    time.sleep(seconds)
