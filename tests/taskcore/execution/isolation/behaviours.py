"""A plugin that does in its process what a test names. The fork server imports it from here."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from taskcore.plugins import (
    Interrupted,
    Isolation,
    Parameters,
    Pause,
    Plugin,
    Plugins,
    RetryPolicy,
    TaskContext,
    build_plugins,
)

MIB = 1024 * 1024
OTHER = SpanContext(0x5CA1AB1E, 0x5EED, is_remote=True)


class BehaviourParameters(Parameters, frozen=True):
    """`file` is where the behaviour writes process ids for the test."""

    behaviour: str
    file: str = ""


class Isolated(Plugin[BehaviourParameters]):
    name = "isolated"
    isolation = Isolation.PROCESS
    retry = RetryPolicy(initial=timedelta(seconds=1), jitter=0)
    memory_limit_bytes: ClassVar[int | None] = 2048 * MIB

    def run(self, ctx: TaskContext, params: BehaviourParameters) -> object:
        return BEHAVIOURS[params.behaviour](ctx, params)


class WithoutLimit(Isolated):
    """The limit is the worker's."""

    name = "without_limit"
    memory_limit_bytes = None


class InThread(Isolated):
    """The same in a thread, unless the task is isolated."""

    name = "in_thread"
    isolation = Isolation.THREAD


def load() -> Plugins:
    return build_plugins([Isolated, WithoutLimit, InThread])


def write_pids(params: BehaviourParameters, *pids: int) -> None:
    """Write atomically, so that a reader sees all ids or no file."""
    new = Path(f"{params.file}.new")
    new.write_text(" ".join(map(str, pids)))
    new.rename(params.file)


def answer(ctx: TaskContext, params: BehaviourParameters) -> object:
    return {"pid": os.getpid(), "attempt": ctx.attempt, "checkpoint": ctx.checkpoint}


def ask(ctx: TaskContext, params: BehaviourParameters) -> object:
    ctx.log.warning("a line", number=1, path=Path("/there"))
    ctx.progress({"done": 0.5})
    ctx.save_checkpoint({"page": 7})
    child = ctx.submit("noop", name="child", priority=3, idempotency_key="mine")
    return {"submitted": child, "got": ctx.get(child)}


def submit_invalid_task(ctx: TaskContext, params: BehaviourParameters) -> object:
    ctx.submit("refused")
    return "submitted"


def talk(ctx: TaskContext, params: BehaviourParameters) -> object:
    for number in range(5_000):
        ctx.log.info("line", number=number)
    return "talked"


def exit_at_once(ctx: TaskContext, params: BehaviourParameters) -> object:
    os._exit(3)


def raise_undescribable(ctx: TaskContext, params: BehaviourParameters) -> object:
    raise SyntaxError("bad template", ("a.tpl", 3, "7", "{{ x }"))  # type: ignore[arg-type]


def break_memory(ctx: TaskContext, params: BehaviourParameters) -> object:
    return ctypes.string_at(0)


def eat_memory(ctx: TaskContext, params: BehaviourParameters) -> object:
    return len([bytearray(64 * MIB) for _ in range(1_000)])


def compute_in_c(ctx: TaskContext, params: BehaviourParameters) -> object:
    """Hold the GIL for ever, so that no signal handler and no other thread runs."""
    write_pids(params, os.getpid())
    return sum(itertools.repeat(0))


def sleep(ctx: TaskContext, params: BehaviourParameters) -> object:
    write_pids(params, os.getpid())
    time.sleep(600)
    return "slept"


def sleep_and_clean_up(ctx: TaskContext, params: BehaviourParameters) -> object:
    """Save a checkpoint when interrupted."""
    try:
        sleep(ctx, params)
    except Interrupted as exc:
        ctx.save_checkpoint({"interrupted_by": exc.cause})
        raise
    return "slept"


def be_stubborn(ctx: TaskContext, params: BehaviourParameters) -> object:
    """Ignore SIGTERM, with a child that ignores it too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    write_pids(params, os.getpid(), child.pid)
    while True:
        time.sleep(1)


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
time.sleep(600)
"""


def leave_a_child(ctx: TaskContext, params: BehaviourParameters) -> object:
    """Fork a child that holds a copy of every open descriptor."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    write_pids(params, child)
    return "done"


def wait_for_pause(ctx: TaskContext, params: BehaviourParameters) -> object:
    write_pids(params, os.getpid())
    while not ctx.is_pause_requested:
        ctx.wait(0.01)
    return Pause()


def kill_the_forkserver(ctx: TaskContext, params: BehaviourParameters) -> object:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
    return "slept"


def send_itself_sigterm(ctx: TaskContext, params: BehaviourParameters) -> object:
    """As when an operator sends SIGTERM to every process of the service."""
    os.kill(os.getpid(), signal.SIGTERM)
    ctx.wait(0.1)
    return "ignored"


def trace_steps(ctx: TaskContext, params: BehaviourParameters) -> object:
    """Make spans with the tracer of the context, and with the global one that a library would use."""
    with ctx.tracer.start_as_current_span("resize", attributes={"pixels": 640}) as step:
        with trace.get_tracer("library").start_as_current_span("read", kind=SpanKind.CLIENT, links=[Link(OTHER)]):
            child = ctx.submit("noop", idempotency_key="mine")
        step.add_event("half", {"of": "it"})
        step.set_status(StatusCode.ERROR, "blurred")
    return {"child": child, "has_sdk": "opentelemetry.sdk.trace" in sys.modules}


def trace_oddly(ctx: TaskContext, params: BehaviourParameters) -> object:
    odd: Any = {"large": 2**70, "nan": float("nan"), "cut": "\ud800", "nul": "\0", "bytes": b"\xff"}
    odd["long"] = "x" * 10_000
    ctx.tracer.start_span("\udfff", attributes=odd).end()
    return "traced"


def trace_much(ctx: TaskContext, params: BehaviourParameters) -> object:
    for _ in range(1_200):
        ctx.tracer.start_span("much").end()
    return "traced"


def trace_and_die(ctx: TaskContext, params: BehaviourParameters) -> object:
    ctx.tracer.start_span("before").end()
    os._exit(3)


BEHAVIOURS: dict[str, Callable[[TaskContext, BehaviourParameters], Any]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        answer,
        ask,
        submit_invalid_task,
        talk,
        exit_at_once,
        raise_undescribable,
        break_memory,
        eat_memory,
        compute_in_c,
        sleep,
        sleep_and_clean_up,
        be_stubborn,
        leave_a_child,
        wait_for_pause,
        kill_the_forkserver,
        send_itself_sigterm,
        trace_steps,
        trace_oddly,
        trace_much,
        trace_and_die,
    )
}
