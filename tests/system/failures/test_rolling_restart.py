"""All processes are restarted in turn under load: no task is lost and no request fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from harness.processes import Service
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System

EVERY_S = 0.02
LOOK_EVERY_S = 0.1
TASK = {"name": "n", "type": "sleep", "parameters": {"seconds": 0.05}}


class Balancer:
    """A load balancer for the APIs: sends requests in turn to those that are ready."""

    def __init__(self, apis: list[Service]) -> None:
        self.apis = apis
        self.accepted: list[int] = []
        self.refused: list[str] = []
        self._ready: list[httpx.Client] = []
        self._clients: dict[str, httpx.Client] = {}
        self._stopping = threading.Event()

    @contextmanager
    def sending(self) -> Iterator[None]:
        threads = [threading.Thread(target=run) for run in (self._look, self._send)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: self.accepted)
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()
            for client in self._clients.values():
                client.close()

    def wait_for_more(self) -> None:
        before = len(self.accepted)
        eventually(lambda: len(self.accepted) > before + 20)

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self._ready = [self._client(api.url) for api in self.apis if api.is_ready]

    def _send(self) -> None:
        while not self._stopping.is_set():
            for client in self._ready:
                try:
                    answer = client.post("/api/v1/tasks", json=TASK)
                except httpx.HTTPError as exc:
                    self.refused.append(repr(exc))
                    continue
                if answer.status_code == 201:
                    self.accepted.append(answer.json()["id"])
                else:
                    self.refused.append(answer.text)
                time.sleep(EVERY_S)

    def _client(self, url: str) -> httpx.Client:
        return self._clients.setdefault(url, httpx.Client(base_url=url, trust_env=False, timeout=60))


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    system = make_system({"TASKCORE_API__DRAIN_S": "2", "TASKCORE_WORKER__PROCESSES": "1"})
    system.start(coordinators=2)
    system.register_types()
    return system


def test_rolling_restart_loses_no_task_and_fails_no_request(system: System) -> None:
    apis = [system.start_api(), system.start_api()]
    workers = [system.start_worker(), system.start_worker()]
    balancer = Balancer(apis)

    with balancer.sending():
        for before in (apis[0], apis[1]):
            apis.append(system.start_api())
            before.terminate()
            balancer.wait_for_more()
        for coordinator in list(system.coordinators):
            system.start_coordinator()
            coordinator.terminate()
        for worker in workers:
            system.start_worker()
            worker.terminate()
    system.wait_for(balancer.accepted)

    assert balancer.refused == []
    totals = (
        "SELECT status, sum(failures + crashes + worker_losses)::int AS spent FROM task WHERE id = ANY(%s) GROUP BY 1"
    )
    assert system.sql(totals, balancer.accepted) == [{"status": "succeeded", "spent": 0}]
