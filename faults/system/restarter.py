"""Restarts processes that exit, as systemd or Kubernetes would."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event, Thread

from harness.processes import Service, Services

POLL_S = 0.1
MIN_UPTIME_S = 1.0


@dataclass(slots=True)
class ManagedProcess:
    command: tuple[str, ...]
    env: Mapping[str, str]
    service: Service
    started_at: float
    is_restarted: bool = True
    exit_codes: list[int] = field(default_factory=list)  # of its earlier runs


class Restarter:
    """The processes by name. The caller may signal a process; the restarter starts it again when it exits."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._processes: dict[str, ManagedProcess] = {}
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="restarter", daemon=True)

    def add(self, name: str, *command: str, env: Mapping[str, str]) -> None:
        self._processes[name] = ManagedProcess(command, env, self._start(command, env), time.monotonic())

    def start(self) -> None:
        """Start restarting processes."""
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def __getitem__(self, name: str) -> Service:
        """Return the current run of the process."""
        return self._processes[name].service

    def names(self, kind: str) -> list[str]:
        return [name for name in self._processes if name.startswith(kind)]

    def exit_codes(self, name: str) -> list[int]:
        """Return the exit codes of its earlier runs."""
        return self._processes[name].exit_codes

    def stop_restarting(self, name: str) -> Service:
        """Do not restart this process again. Return its current run."""
        self._processes[name].is_restarted = False
        return self._processes[name].service

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            for process in self._processes.values():
                if process.is_restarted and not process.service.is_running:
                    self._restart(process)

    def _restart(self, process: ManagedProcess) -> None:
        if time.monotonic() - process.started_at < MIN_UPTIME_S:
            return
        process.exit_codes.append(process.service.wait())
        process.service, process.started_at = self._start(process.command, process.env), time.monotonic()

    def _start(self, command: tuple[str, ...], env: Mapping[str, str]) -> Service:
        return self._services.start(*command, env=env, ready=False)
