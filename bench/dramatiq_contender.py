"""Bare Dramatiq, started by its own command line and fed by `broker.enqueue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import dramatiq
import psutil

from bench import dramatiq_app
from bench.contender import DEADLINE_S, PREFETCH, PROCESSES, THREADS, RunWindow
from bench.finish_times import read_finish_times
from bench.servers import Servers
from harness.processes import Service
from harness.waiting import eventually

ROOT = Path(__file__).parent.parent
CAPACITY = 200_000


class BareDramatiq:
    name = "dramatiq"

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._broker = dramatiq_app.QuorumBroker(url=servers.dramatiq_amqp_url)
        self._actor = dramatiq_app.declare_noop(self._broker, None)
        self._messages: list[dramatiq.Message[None]] = []
        self._workers: Service | None = None
        self._finish_times = servers.directory
        self._runs = 0
        self._ran_before = 0

    def prepare(self, tasks: int) -> None:
        self._messages = [self._actor.message() for _ in range(tasks)]
        self._ran_before = len(read_finish_times(self._finish_times)) if self._workers else 0

    def submit(self) -> None:
        for message in self._messages:
            self._broker.enqueue(message)

    def start_workers(self) -> None:
        self._runs += 1
        self._finish_times = self._servers.directory / f"finish_times-{self._runs}"
        self._finish_times.mkdir()
        self._ran_before = 0
        command = ["dramatiq", "bench.dramatiq_app", "--path", str(ROOT), "--use-spawn"]
        size = ["--processes", str(PROCESSES), "--threads", str(THREADS)]
        environment = {
            dramatiq_app.AMQP_URL: self._servers.dramatiq_amqp_url,
            dramatiq_app.FINISH_TIMES: str(self._finish_times),
            dramatiq_app.CAPACITY: str(CAPACITY),
            "dramatiq_queue_prefetch": str(PREFETCH),
        }
        self._workers = self._servers.services.start(*command, *size, env=environment, ready=False)

    def stop_workers(self) -> None:
        if self._workers is not None:
            self._workers.terminate()
            self._workers = None

    def flush_writes(self) -> None:
        """Nothing to flush: Dramatiq stores no results."""

    def has_started(self) -> bool:
        return len(read_finish_times(self._finish_times)) > self._ran_before

    def wait(self) -> RunWindow:
        wanted = self._ran_before + len(self._messages)
        times = eventually(
            lambda: self._all_finish_times(wanted), DEADLINE_S, poll_s=0.2, description="the end of the last message"
        )
        return RunWindow(times[self._ran_before], times[-1])

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        assert self._workers is not None
        main = psutil.Process(self._workers.pid)
        servers = self._servers
        return {
            "RabbitMQ": [servers.rabbitmq],
            "worker processes": [main, *main.children(recursive=True)],
            "client": [psutil.Process()],
        }

    def _all_finish_times(self, wanted: int) -> list[float]:
        times = read_finish_times(self._finish_times)
        return times if len(times) >= wanted else []
