"""A program that runs one isolated attempt, for a test that kills its executor."""

from __future__ import annotations

import sys
import time
from typing import Any, cast
from uuid import uuid4

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.executor import Executor
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.settings import Settings
from tests.taskcore.execution.isolation.behaviours import load

if __name__ == "__main__":
    behaviour, file = sys.argv[1:]
    settings = Settings()
    executor = Executor(
        cast("Any", None), load(), settings, worker_id=1, incarnation=1, forkserver=ForkServer(settings, load)
    )
    executor.run(
        ClaimedTask(
            Lease(1, 1, uuid4()),
            "t",
            "isolated",
            "default",
            {"behaviour": behaviour, "file": file},
            0,
            4,
            time.monotonic(),
        )
    )
