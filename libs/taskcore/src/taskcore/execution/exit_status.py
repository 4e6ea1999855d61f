"""The end of a process in words, as it is stored with a task that crashed."""

from __future__ import annotations

import signal


def describe_exit(exit_code: int | None) -> str:
    """Describe an exit code in the convention of `subprocess`: negative for a signal, `None` when it is unknown."""
    if exit_code is None or exit_code >= 0:
        return f"its process exited with status {exit_code}"
    name = signal.Signals(-exit_code).name if -exit_code in signal.valid_signals() else "unknown"
    hint = ", as the kernel does when memory is short" if exit_code == -signal.SIGKILL else ""
    return f"its process was killed by signal {-exit_code} ({name}){hint}"
