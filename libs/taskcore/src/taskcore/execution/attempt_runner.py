"""Where an attempt runs: in a worker thread, or in a process of its own that this thread hosts."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult, Reason
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt
from taskcore.execution.isolation.forkserver import ForkServer, ForkServerDied
from taskcore.execution.isolation.run_in_process import run_in_process
from taskcore.execution.run_plugin import make_context, result_of_interrupt, run_plugin
from taskcore.execution.running_attempts import RunningAttempt, RunningAttempts
from taskcore.observability.tracing.attempt_spans import AttemptTracer
from taskcore.plugins import Isolation, Plugins
from taskcore.plugins.context import AttemptServices
from taskcore.settings import Settings

log = structlog.stdlib.get_logger(__name__)


class AttemptRunner:
    """Thread-safe. `make_services` is called once per attempt."""

    def __init__(
        self,
        plugins: Plugins,
        settings: Settings,
        running: RunningAttempts,
        forkserver: ForkServer,
        make_services: Callable[[ClaimedTask], AttemptServices],
        tracer: AttemptTracer,
    ) -> None:
        self._plugins = plugins
        self._settings = settings
        self._running = running
        self._forkserver = forkserver
        self._make_services = make_services
        self._tracer = tracer

    def run(self, claimed: ClaimedTask) -> FinishedAttempt | None:
        """Run the attempt to its end. Return `None` when its lease ended before. Raises `AttemptAbandoned`."""
        plugin = self._plugins[claimed.type]
        own_process = claimed.isolated or plugin.isolation is Isolation.PROCESS
        attempt = self._running.start(claimed, own_process=own_process, can_cancel=plugin.can_cancel)
        try:
            failure = self._prepare_forkserver(attempt) if own_process else None
            started = time.monotonic()
            result = failure or (self._run_in_process(attempt) if own_process else self._run_in_thread(attempt))
        finally:
            self._running.end(attempt)
        ended = time.monotonic()
        if result is None:
            return None
        return FinishedAttempt(claimed.lease, claimed.type, result, started - claimed.claimed_at, ended - started)

    def end_abandoned(self, attempt: RunningAttempt) -> FinishedAttempt | None:
        """Return how an attempt ends whose thread does not stop."""
        claimed, cause = attempt.claimed, attempt.cancellation.cause
        result = None if cause is None else result_of_interrupt(self._plugins[claimed.type], claimed, cause)
        if result is None:
            return None
        told = result._replace(error=f"{result.error}; its thread does not stop, and was left to itself")
        return FinishedAttempt(claimed.lease, claimed.type, told, 0.0, time.monotonic() - claimed.claimed_at)

    def prestart_forkserver(self) -> None:
        """Start the fork server before the first task needs it. On failure that task starts it again."""
        with suppress(ForkServerDied, OSError):
            self._forkserver.ensure_running()

    def close(self) -> None:
        """Kill the attempts that run in processes of their own. No such process can start from now on."""
        self._forkserver.close()

    def _run_in_thread(self, attempt: RunningAttempt) -> AttemptResult | None:
        claimed = attempt.claimed
        services, tracer = self._make_services(claimed), self._tracer.tracer(claimed.lease)
        context = make_context(claimed, attempt.cancellation, self._settings, services, tracer)
        return run_plugin(self._plugins[claimed.type], claimed, context)

    def _prepare_forkserver(self, attempt: RunningAttempt) -> AttemptResult | None:
        """Return `None` when the fork server is ready, otherwise the result that ends this attempt."""
        try:
            self._forkserver.ensure_running()
        except (ForkServerDied, OSError) as exc:
            log.error("forkserver.not_ready", error=str(exc))
            if self._forkserver.is_closed:
                return outcomes.released(Reason.WORKER_STOPPED)
            return outcomes.could_not_start(attempt.claimed.worker_losses, f"its process could not be started: {exc}")
        self._running.start_timeout(attempt)
        return None

    def _run_in_process(self, attempt: RunningAttempt) -> AttemptResult | None:
        claimed = attempt.claimed
        return run_in_process(
            self._forkserver,
            attempt,
            self._plugins[claimed.type],
            self._make_services(claimed),
            kill_after_s=self._settings.worker.kill_after_s,
            add_spans=partial(self._tracer.add_child_spans, claimed.lease),
        )
