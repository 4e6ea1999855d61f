"""An executor for isolated attempts, the services that it records, and attempts that run in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from harness.waiting import eventually
from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.errors import DatabaseUnavailable
from taskcore.execution.executor import Executor
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.plugins.context import NullServices
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from tests.taskcore.execution.isolation.behaviours import load


@dataclass
class RecordingServices(NullServices):
    """Remembers calls. The first checkpoint meets an unavailable database."""

    lines: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    is_unavailable: bool = True

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        self.lines.append((level, message, fields))

    def progress(self, value: Any) -> None:
        self.calls.append(value)

    def save_checkpoint(self, value: Any) -> None:
        if self.is_unavailable:
            self.is_unavailable = False
            raise DatabaseUnavailable
        self.calls.append(value)

    def submit(self, task: Mapping[str, Any]) -> int:
        if task["type"] == "refused":
            raise ValueError("no such type")
        self.calls.append(task)
        return 12

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        return {"id": task_id}


class IsolationHarness:
    """An executor without a database, which runs attempts and returns their results."""

    def __init__(self, directory: Path, kill_after_s: float) -> None:
        settings = Settings(worker={"kill_after_s": kill_after_s, "task_memory_mb": 512})  # type: ignore[arg-type]
        self.services = RecordingServices()
        self.executor = Executor(
            cast("Any", None),
            load(),
            settings,
            worker_id=1,
            incarnation=1,
            forkserver=ForkServer(settings, load),
            make_services=lambda claimed: self.services,
        )
        self._directory = directory
        self._ids = iter(range(1, 1_000))

    def start(self, behaviour: str, **fields: Any) -> AttemptThread:
        return AttemptThread(self.executor, self.claimed(behaviour, **fields))

    def run(self, behaviour: str, **fields: Any) -> AttemptResult:
        return self.start(behaviour, **fields).result()

    def claimed(self, behaviour: str, **fields: Any) -> ClaimedTask:
        task_id = next(self._ids)
        given: dict[str, Any] = {"name": "t", "type": "isolated", "queue": "default", "failures": 0, "max_attempts": 4}
        given["parameters"] = {"behaviour": behaviour, "file": str(self._directory / f"task {task_id}")}
        return ClaimedTask(Lease(task_id, 1, uuid4()), claimed_at=time.monotonic(), **{**given, **fields})


class AttemptThread:
    """An attempt that runs in a thread of the test."""

    def __init__(self, executor: Executor, claimed: ClaimedTask) -> None:
        self._running = executor.running
        self._claimed = claimed
        self._results: list[AttemptResult | None] = []
        self._thread = threading.Thread(target=self._run, args=(executor,))
        self._thread.start()

    def pids(self) -> list[int]:
        """Wait for the process ids that the attempt writes."""
        text = eventually(lambda: self._file.exists() and self._file.read_text(), poll_s=0.01)
        return [int(word) for word in str(text).split()]

    def interrupt(self, cause: InterruptCause) -> None:
        assert self._running.interrupt(self._claimed.lease.task_id, 1, cause)

    def request_pause(self) -> None:
        assert self._running.request_pause(self._claimed.lease.task_id, 1)

    def outcome(self) -> AttemptResult | None:
        self._thread.join(60)
        (result,) = self._results
        return result

    def result(self) -> AttemptResult:
        result = self.outcome()
        assert result is not None
        return result

    @property
    def _file(self) -> Path:
        return Path(self._claimed.parameters["file"])

    def _run(self, executor: Executor) -> None:
        finished = executor.run(self._claimed)
        self._results.append(None if finished is None else finished.result)


MakeHarness = Callable[[float], IsolationHarness]
