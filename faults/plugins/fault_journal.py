"""The journal that runs write themselves, independently of Taskcore: lines at its start, meanwhile and at its end.

The time is that of the machine's monotonic clock, which all processes share and no fault shifts.
"""

from __future__ import annotations

import os
import time
from functools import cache


def note(task_id: int, attempt: int, what: str) -> None:
    line = f"{task_id} {attempt} {what} {time.monotonic():.6f}\n"
    os.write(_file(os.getpid()), line.encode())


@cache
def _file(pid: int) -> int:
    path = os.path.join(os.environ["FAULTS_JOURNAL"], str(pid))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
