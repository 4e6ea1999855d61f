"""Task types for the faults: work that writes a journal, and tasks that crash their process.

A worker has them when this directory is on its PYTHONPATH.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Literal

from fault_journal import note  # type: ignore[import-not-found]  # in the same directory, on the worker's path

from taskcore.plugins import Isolation, Parameters, Plugin, RetryPolicy, TaskContext

QUICK_RETRIES = RetryPolicy(max_attempts=4, waits=tuple(timedelta(seconds=s) for s in (0.2, 0.4, 0.8)), jitter=0.0)
BEAT_S = 0.05


class WorkParameters(Parameters, frozen=True):
    """Runs for `seconds`, or until the file `gate` exists. The first `fails` attempts fail at their end.

    `ignores_signals`: it blocks all signals and stays in C code, where no exception reaches it.
    """

    seconds: float = 0.0
    gate: str | None = None
    fails: int = 0
    how: Literal["sleep", "compute"] = "sleep"
    ignores_signals: bool = False


class Work(Plugin[WorkParameters]):
    name = "work"
    description = "Works, and notes in the journal when."
    retry = QUICK_RETRIES

    def run(self, ctx: TaskContext, params: WorkParameters) -> object:
        note(ctx.task_id, ctx.attempt, "begin")
        if params.ignores_signals:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            ctypes.PyDLL(None).sleep(int(params.seconds))
        deadline = time.monotonic() + params.seconds
        while not _is_over(params, deadline):
            _work(params, deadline)
            note(ctx.task_id, ctx.attempt, "beat")
        note(ctx.task_id, ctx.attempt, "end")
        if ctx.failures < params.fails:
            raise RuntimeError(f"failure {ctx.failures + 1} of {params.fails}")
        return ctx.attempt


class WorkIsolated(Work):
    name = "work_isolated"
    description = "Works in a process of its own."
    isolation = Isolation.PROCESS


class CrashParameters(Parameters, frozen=True):
    """`exit`, `segfault`, `memory` until the limit, or `loop` in C, holding the GIL; all after `after_s`."""

    how: Literal["exit", "segfault", "memory", "loop"]
    after_s: float = 0.2


class Crash(Plugin[CrashParameters]):
    name = "crash"
    description = "Takes its process with it."
    retry = RetryPolicy(max_attempts=2, waits=(timedelta(seconds=0.2),), jitter=0.0)
    timeout = timedelta(seconds=5)

    def run(self, ctx: TaskContext, params: CrashParameters) -> object:
        note(ctx.task_id, ctx.attempt, "begin")
        time.sleep(params.after_s)
        note(ctx.task_id, ctx.attempt, "beat")
        match params.how:
            case "exit":
                os._exit(3)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
                ctypes.string_at(0)
            case "memory":
                _eat_memory()
            case "loop":
                ctypes.PyDLL(None).sleep(3_600)  # as a PyDLL it keeps the GIL
        return None


class CrashIsolated(Crash):
    name = "crash_isolated"
    description = "Takes its own process with it."
    isolation = Isolation.PROCESS


def _is_over(params: WorkParameters, deadline: float) -> bool:
    if params.gate is not None:
        return Path(params.gate).exists()
    return time.monotonic() >= deadline


def _work(params: WorkParameters, deadline: float) -> None:
    until = time.monotonic() + BEAT_S
    if params.gate is None:
        until = min(until, deadline)
    if params.how == "sleep":
        time.sleep(max(0.0, until - time.monotonic()))
        return
    while time.monotonic() < until:
        sum(range(1_000))


def _eat_memory() -> None:
    """Allocate and touch memory. Without a limit, kill the process at 512 MiB, as the kernel would."""
    chunks = [bytearray(b"x") * (16 * 1024 * 1024) for _ in range(32)]
    assert chunks
    os.kill(os.getpid(), signal.SIGKILL)
