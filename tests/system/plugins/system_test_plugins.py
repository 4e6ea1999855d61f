"""Task types for the system tests. A worker has them when this directory is on its PYTHONPATH.

Gates are files: a run waits until its gate exists, so that the test decides when a running task ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from taskcore.plugins import Fail, Isolation, Parameters, Plugin, RetryAfter, RetryPolicy, TaskContext

TEN_MEGABYTES = 10 * 1024 * 1024


def pass_gate(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.01)


class GatedParameters(Parameters, frozen=True):
    gate: str


class Gated(Plugin[GatedParameters]):
    name = "gated"
    description = "Runs until its gate is open."

    def run(self, ctx: TaskContext, params: GatedParameters) -> object:
        pass_gate(params.gate)
        return ctx.attempt


class FlakyParameters(Parameters, frozen=True):
    """`gates`: a directory in which attempt n waits for the file `n`."""

    gates: str | None = None


class Flaky(Plugin[FlakyParameters]):
    name = "flaky"
    description = "Fails each time."
    retry = RetryPolicy(
        max_attempts=4,
        waits=(timedelta(seconds=0.2), timedelta(seconds=0.4), timedelta(seconds=0.8)),
        jitter=0.0,
    )

    def run(self, ctx: TaskContext, params: FlakyParameters) -> object:
        if params.gates is not None:
            pass_gate(f"{params.gates}/{ctx.attempt}")
        raise RuntimeError(f"attempt {ctx.attempt} went wrong")


class Talkative(Plugin[GatedParameters]):
    name = "talkative"
    description = "Logs by the standard library, as libraries do, and by its context; whatever its gate."

    def run(self, ctx: TaskContext, params: GatedParameters) -> object:
        logging.getLogger("a.library").warning("by %s of postgresql://me:hunter2@db/x", "a library")
        ctx.log.warning("by the context", password="hunter2", request={"X-Api-Key": "hunter2"}, of="redis://:hunter2@x")
        return None


class TalkativeAlone(Talkative):
    name = "talkative_alone"
    isolation = Isolation.PROCESS


class NothingToSay(Parameters, frozen=True):
    """No parameters."""


class Patient(Plugin[NothingToSay]):
    name = "patient"
    description = "Fails, and waits an hour before it tries again."
    retry = RetryPolicy(max_attempts=2, waits=(timedelta(hours=1),))

    def run(self, ctx: TaskContext, params: NothingToSay) -> object:
        raise RuntimeError("not now")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words for it")


def raise_unspeakable() -> object:
    raise Unspeakable


RESULTS: dict[str, Callable[[], Any]] = {
    "nul": lambda: {"text": "before\0after"},
    "surrogate": lambda: "\ud800",
    "nan": lambda: float("nan"),
    "ten_megabytes": lambda: "x" * TEN_MEGABYTES,
    "not_json": object,
    "no_error": lambda: Fail(None),  # type: ignore[arg-type]
    "no_wait": lambda: RetryAfter("soon"),  # type: ignore[arg-type]
    "unspeakable": raise_unspeakable,
    "exit": lambda: exit(3),
}


class ReturnsParameters(Parameters, frozen=True):
    what: Literal["nul", "surrogate", "nan", "ten_megabytes", "not_json", "no_error", "no_wait", "unspeakable", "exit"]


class Returns(Plugin[ReturnsParameters]):
    name = "returns"
    description = "Returns what is hard to store."
    retry = RetryPolicy(max_attempts=1)

    def run(self, ctx: TaskContext, params: ReturnsParameters) -> object:
        return RESULTS[params.what]()
