"""An open-loop load: each submission is sent on time, however long earlier ones take. All responses are kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import Thread

from bench.connection import Connection, post_request
from faults.load.submissions import CANCEL_AFTER_S, Request, Submission, mixed_submissions

RESPONSE_TIMEOUT_S = 20.0  # a longer response time counts as a hang
RETRY_PAUSE_S = 0.5
GIVE_UP_AFTER_S = 60.0  # after the load stops
MAX_CONNECTIONS = 500

CONNECTION_ERRORS = (OSError, asyncio.IncompleteReadError)


class LoadGenerator:
    """Submits `rate` tasks per second from `start` to `stop`. A failed request is retried until its result is known."""

    def __init__(self, url: str, rate: float, submissions: Iterable[Submission] | None = None) -> None:
        self.submissions: list[Submission] = []
        self._url = url
        self._rate = rate
        self._source = iter(submissions or mixed_submissions())
        self._idle: list[Connection] = []
        self._is_stopping = False
        self._give_up_at = float("inf")
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop, and return when the result of every submission is known, at most `GIVE_UP_AFTER_S` later."""
        self._give_up_at = time.monotonic() + GIVE_UP_AFTER_S
        self._is_stopping = True
        self._thread.join()

    def responses(self) -> Counter[int | str]:
        return Counter(one.outcome for submission in list(self.submissions) for one in submission.requests)

    def slowest_s(self) -> float:
        return max((one.took_s for submission in list(self.submissions) for one in submission.requests), default=0.0)

    async def _run(self) -> None:
        slots = asyncio.Semaphore(MAX_CONNECTIONS)
        due_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._is_stopping:
                submission = next(self._source)
                await asyncio.sleep(due_at - time.monotonic())
                submission.due_at = due_at
                self.submissions.append(submission)
                group.create_task(self._submit(submission, slots))
                due_at += len(submission.tasks) / self._rate
        for connection in self._idle:
            await connection.close()

    async def _submit(self, submission: Submission, slots: asyncio.Semaphore) -> None:
        request = post_request(self._url, submission.path, submission.body, submission.key)
        while time.monotonic() < self._give_up_at:
            async with slots:
                status, body = await self._try(submission, request)
            if status in (200, 201):
                submission.record_accepted(body)
                return await self._cancel(submission) if submission.is_cancelled else None
            if 400 <= status < 500:
                submission.rejection = body.decode()
                return None
            await asyncio.sleep(RETRY_PAUSE_S)
        return None

    async def _try(self, submission: Submission, request: bytes) -> tuple[int, bytes]:
        """Send one request. Status 0 means that its result is unknown."""
        began = time.monotonic()
        outcome: int | str = "broken"
        status, body = 0, b""
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                outcome = status = (found := await self._send(request))[0]
                body = found[1]
        except TimeoutError:
            outcome = "timeout"
        except CONNECTION_ERRORS:
            pass
        submission.requests.append(Request(began, time.monotonic() - began, outcome))
        return status, body

    async def _cancel(self, submission: Submission) -> None:
        """Cancel the task; when the request fails, the task just runs to its end."""
        await asyncio.sleep(CANCEL_AFTER_S)
        with suppress(TimeoutError, *CONNECTION_ERRORS):
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                await self._send(post_request(self._url, f"/api/v1/tasks/{submission.ids[0]}/cancel", b"{}"))

    async def _send(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, on an idle connection if possible. The server may have closed that; then open a new one."""
        if self._idle:
            try:
                return await self._send_on(self._idle.pop(), request)
            except CONNECTION_ERRORS:
                self._idle.clear()
        return await self._send_on(await Connection.open(self._url), request)

    async def _send_on(self, connection: Connection, request: bytes) -> tuple[int, bytes]:
        found = await connection.request(request)
        self._idle.append(connection)
        return found


def accepted_ids(submissions: Sequence[Submission]) -> list[int]:
    return [task_id for submission in submissions for task_id in submission.ids]


def count_tasks(submissions: Sequence[Submission]) -> int:
    return sum(len(submission.tasks) for submission in submissions)
