"""What the load submits: a submission is one or several tasks under one idempotency key, with all its requests."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

BATCH_SIZE = 10
#: One submission in this many is a batch, a batch with dependencies, or a task that is cancelled while it runs.
BATCH_EVERY, CHAIN_EVERY, CANCEL_EVERY = 10, 20, 50
CANCEL_AFTER_S = 0.3
#: The mix, with the weight of each type. The average task occupies a slot for 0.06 s.
MIX: list[tuple[float, str, dict[str, Any]]] = [
    (0.55, "noop", {}),
    (0.28, "work", {"seconds": 0.05}),
    (0.10, "work", {"seconds": 0.2}),
    (0.04, "work", {"seconds": 0.02, "fails": 1}),
    (0.02, "work", {"seconds": 0.05, "how": "compute"}),
    (0.01, "work", {"seconds": 2}),
]
WEIGHTS = [share for share, _, _ in MIX]


@dataclass(frozen=True, slots=True)
class Request:
    """`outcome`: the HTTP status, or `timeout` or `broken`. Times are from `time.monotonic()`."""

    at: float
    took_s: float
    outcome: int | str


@dataclass(slots=True)
class Submission:
    """`ids` are set once it is accepted. `is_cancelled`: the client cancels it `CANCEL_AFTER_S` later."""

    tasks: list[dict[str, Any]]
    due_at: float = 0.0
    key: str = field(default_factory=lambda: uuid4().hex)
    requests: list[Request] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    rejection: str = ""
    is_cancelled: bool = False

    @property
    def has_dependencies(self) -> bool:
        """Whether its tasks depend on each other."""
        return any("depends_on" in task for task in self.tasks)

    @property
    def path(self) -> str:
        return "/api/v1/tasks" if len(self.tasks) == 1 else "/api/v1/tasks/batch"

    @property
    def body(self) -> bytes:
        return json.dumps(self.tasks[0] if len(self.tasks) == 1 else {"tasks": self.tasks}).encode()

    def record_accepted(self, body: bytes) -> None:
        response = json.loads(body)
        self.ids = [response["id"]] if len(self.tasks) == 1 else [one["id"] for one in response["results"]]


def mixed_submissions(seed: int = 1) -> Iterator[Submission]:
    """Yield submissions endlessly, the same ones for the same seed."""
    rng = random.Random(seed)
    while True:
        if rng.randrange(CHAIN_EVERY) == 0:
            yield _chain()
        elif rng.randrange(CANCEL_EVERY) == 0:
            yield Submission([_task("work", {"seconds": 2})], is_cancelled=True)
        else:
            chosen = rng.choices(MIX, WEIGHTS, k=BATCH_SIZE if rng.randrange(BATCH_EVERY) == 0 else 1)
            yield Submission([_task(type_, parameters) for _, type_, parameters in chosen])


def _chain() -> Submission:
    """Return a parent, two children, and a task that depends on both children."""
    short = {"seconds": 0.05}
    parent = _task("work", short) | {"ref": "parent"}
    children = [_task("work", short) | {"ref": ref, "depends_on": ["parent"]} for ref in ("one", "two")]
    return Submission([parent, *children, _task("noop", {}) | {"depends_on": ["one", "two"]}])


def _task(type_: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"name": "load", "type": type_, "parameters": parameters}
