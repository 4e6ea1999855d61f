"""Keeps processes alive, as systemd or Kubernetes would: what died is started again."""

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
    exit_codes: list[int] = field(default_factory=list)  # how its earlier lives ended


class Restarter:
    """The processes by name. A signal to one of them is the caller's to send; the next life is the keeper's."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: dict[str, ManagedProcess] = {}
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="keeper", daemon=True)

    def add(self, name: str, *command: str, env: Mapping[str, str]) -> None:
        self._kept[name] = ManagedProcess(command, env, self._start(command, env), time.monotonic())

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def __getitem__(self, name: str) -> Service:
        """Its present life."""
        return self._kept[name].service

    def names(self, kind: str) -> list[str]:
        return [name for name in self._kept if name.startswith(kind)]

    def exit_codes(self, name: str) -> list[int]:
        """The exit codes of its earlier lives."""
        return self._kept[name].exit_codes

    def stop_restarting(self, name: str) -> Service:
        """Its present life is its last one."""
        self._kept[name].is_restarted = False
        return self._kept[name].service

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            for kept in self._kept.values():
                if kept.is_restarted and not kept.service.is_running:
                    self._revive(kept)

    def _revive(self, kept: ManagedProcess) -> None:
        if time.monotonic() - kept.started_at < MIN_UPTIME_S:
            return
        kept.exit_codes.append(kept.service.wait())
        kept.service, kept.started_at = self._start(kept.command, kept.env), time.monotonic()

    def _start(self, command: tuple[str, ...], env: Mapping[str, str]) -> Service:
        return self._services.start(*command, env=env, ready=False)
