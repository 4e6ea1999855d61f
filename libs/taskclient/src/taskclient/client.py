"""The calls of a Taskcore server as typed methods."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self
from urllib.parse import quote

from taskclient.analytics.calls import AnalyticsCalls
from taskclient.connection import TIMEOUT_S, Call, Connection, build_query
from taskclient.errors import WaitTimeout
from taskclient.kubernetes.calls import KubernetesCalls
from taskclient.models import (
    Attempt,
    BatchAnswer,
    GrowingPage,
    HistoryEntry,
    Items,
    LogLine,
    NewTask,
    Page,
    Queue,
    RelatedTask,
    Setting,
    StatusCounts,
    Task,
    TaskPage,
    TaskType,
    Worker,
)
from taskclient.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from taskclient.schedules.calls import ScheduleCalls
from taskclient.traces.models import TaskTrace

DEFAULT_ADDRESS = "http://127.0.0.1:8080"
MAX_WAIT_S = 30.0
EARLY_RESPONSE_PAUSE_S = 0.5
BATCH_TIMEOUT_S = 120.0


class Client(AnalyticsCalls, KubernetesCalls, ScheduleCalls):
    """A Taskcore server at `address`. Thread-safe. Close it, or use it as a context manager.

    `user` is the actor that the server records in the history; see `taskclient.users`. Raise ValueError when it cannot
    be sent as a header, and InvalidEnvironment when the proxy or the authorities of the environment are of no use.

    Every call raises ApiError, ServerUnreachable or UnexpectedResponse when it fails. Idempotent calls, submitting
    among them, are retried when no response comes or the server answers 503.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        user: str | None = None,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = Connection(address, user, retry_policy, sleep)
        self._sleep = sleep
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def address(self) -> str:
        return self._connection.address

    def submit(self, task: NewTask, *, idempotency_key: str | None = None) -> Task:
        """Submit a task. It is durable when this returns.

        Without an `idempotency_key` every call generates one, so that a retry within the call stores the task once.
        """
        call = Call("POST", "/tasks", body=task, idempotency_key=idempotency_key or str(uuid.uuid4()))
        return self._connection.request(call, Task)

    def submit_batch(
        self, tasks: Sequence[NewTask], *, atomic: bool = True, idempotency_key: str | None = None
    ) -> BatchAnswer:
        """Submit up to 10,000 tasks: all or none if `atomic`, otherwise those that are valid.

        `results` holds the problem of each task that was refused.
        """
        call = Call(
            "POST",
            "/tasks/batch",
            body={"tasks": tasks, "atomic": atomic},
            idempotency_key=idempotency_key or str(uuid.uuid4()),
            timeout_s=BATCH_TIMEOUT_S,
        )
        return self._connection.request(call, BatchAnswer)

    def get(self, task_id: int) -> Task:
        return self._connection.get(f"/tasks/{task_id}", Task)

    def list(
        self,
        *,
        status: Sequence[str] = (),
        type: Sequence[str] = (),
        queue: Sequence[str] = (),
        labels: Sequence[tuple[str, str]] = (),
        search: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> TaskPage:
        """Return one page of tasks, newest first.

        A task matches any of the given statuses, types and queues, and all of the given labels.
        """
        pairs = [f"{key}={value}" for key, value in labels]
        filters = {"label": pairs, "status": status, "type": type, "queue": queue, "q": search}
        return self._connection.get("/tasks", TaskPage, **filters, limit=limit, offset=offset, cursor=cursor)

    def counts(self) -> StatusCounts:
        return self._connection.get("/tasks/status", StatusCounts)

    def history(self, task_id: int, *, after: int = 0) -> Sequence[HistoryEntry]:
        """Return a task's transitions after the one with the id `after`, oldest first.

        Available after the task was deleted, too.
        """
        return self._connection.get_all(f"/tasks/{task_id}/history", Page[HistoryEntry], after=after)

    def attempts(self, task_id: int) -> Sequence[Attempt]:
        """Return a task's attempts, oldest first; the running one is last."""
        return self._connection.get_all(f"/tasks/{task_id}/attempts", Page[Attempt])

    def logs(
        self, task_id: int, *, attempt: int | None = None, after: str | None = None, limit: int | None = None
    ) -> GrowingPage[LogLine, str]:
        """Return a page of log lines of all attempts, or of one, oldest first.

        `after` is the `next_after` of the page before.
        """
        page = GrowingPage[LogLine, str]
        return self._connection.get(f"/tasks/{task_id}/logs", page, attempt=attempt, after=after, limit=limit)

    def dependencies(self, task_id: int) -> Sequence[RelatedTask]:
        """Return the tasks that this task depends on, ordered by id."""
        return self._connection.get_all(f"/tasks/{task_id}/dependencies", Page[RelatedTask])

    def dependents(self, task_id: int) -> Sequence[RelatedTask]:
        """Return the tasks that depend on this task, ordered by id."""
        return self._connection.get_all(f"/tasks/{task_id}/dependents", Page[RelatedTask])

    def trace(self, task_id: int) -> TaskTrace:
        """Return the spans of a task. Raise ApiError when it is not sampled, or no trace backend can be queried."""
        return self._connection.get(f"/tasks/{task_id}/trace", TaskTrace)

    def wait(self, task_id: int, timeout: timedelta | None = None) -> Task:
        """Wait until the task has finished, with whatever status, and return it.

        Without a `timeout`, wait forever. Raise WaitTimeout when the timeout expires first.
        """
        started = self._clock()
        while True:
            asked = self._clock()
            wait_s = MAX_WAIT_S
            if timeout is not None:
                wait_s = min(wait_s, max(0.0, timeout.total_seconds() - (asked - started)))
            query = build_query(timeout=f"{wait_s:g}")
            call = Call("GET", f"/tasks/{task_id}/wait", query, timeout_s=wait_s + TIMEOUT_S)
            task = self._connection.request(call, Task)
            if task.is_terminal:
                return task
            now = self._clock()
            if timeout is not None and now - started >= timeout.total_seconds():
                raise WaitTimeout(task, timeout)
            # A server that is stopping answers early: asking again at once would be a busy loop.
            if now - asked < wait_s / 2:
                self._sleep(min(EARLY_RESPONSE_PAUSE_S, wait_s))

    def cancel(self, task_id: int, reason: str | None = None) -> Task:
        """Cancel a task. A running one is `cancelling` until its attempt has stopped."""
        return self._connection.post(f"/tasks/{task_id}/cancel", Task, {"reason": reason})

    def pause(self, task_id: int, reason: str | None = None) -> Task:
        """Pause a task. A running one has `pause_requested` set until its plugin pauses."""
        return self._connection.post(f"/tasks/{task_id}/pause", Task, {"reason": reason})

    def resume(self, task_id: int) -> Task:
        return self._connection.post(f"/tasks/{task_id}/resume", Task)

    def retry(self, task_id: int) -> Task:
        return self._connection.post(f"/tasks/{task_id}/retry", Task)

    def delete(self, task_id: int) -> None:
        self._connection.send(Call("DELETE", f"/tasks/{task_id}"))

    def task_types(self) -> Sequence[TaskType]:
        return self._connection.get("/task-types", Items[TaskType]).items

    def workers(self) -> Sequence[Worker]:
        return self._connection.get("/workers", Items[Worker]).items

    def queues(self) -> Sequence[Queue]:
        return self._connection.get("/queues", Items[Queue]).items

    def pause_queue(self, name: str, reason: str | None = None) -> Queue:
        """Start no more tasks of this queue until it is resumed. Running tasks continue."""
        return self._connection.post(f"/queues/{quote(name, safe='')}/pause", Queue, {"reason": reason})

    def resume_queue(self, name: str) -> Queue:
        return self._connection.post(f"/queues/{quote(name, safe='')}/resume", Queue)

    def delete_queue(self, name: str) -> None:
        """Delete a queue that nothing needs. Raise ApiError `queue_in_use` when something does."""
        self._connection.send(Call("DELETE", f"/queues/{quote(name, safe='')}"))

    def settings(self) -> Sequence[Setting]:
        """Return the live settings: those that can be changed while processes run."""
        return self._connection.get("/settings", Items[Setting]).items

    def setting(self, name: str) -> Setting:
        return self._connection.get(_setting_path(name), Setting)

    def set_setting(self, name: str, value: Any) -> Setting:
        """Override a live setting for every process, within seconds, until it is unset."""
        return self._connection.request(Call("PUT", _setting_path(name), body={"value": value}), Setting)

    def unset_setting(self, name: str) -> Setting:
        return self._connection.request(Call("DELETE", _setting_path(name)), Setting)


def _setting_path(name: str) -> str:
    return f"/settings/{quote(name, safe='')}"
