"""A process that can start no thread loses no callback, no timeout and no worker thread by that."""

from __future__ import annotations

import subprocess
import sys


def test_a_process_goes_on_after_it_could_start_no_thread() -> None:
    program = [sys.executable, "-m", "tests.taskcore.execution.children.without_threads"]

    ended = subprocess.run(program, capture_output=True, text=True, timeout=60)

    assert ended.stderr.splitlines() == ["called back: True", "left: 0", "later: timeout", "threads: 0 2"]
