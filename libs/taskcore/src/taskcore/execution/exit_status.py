"""The end of a process in words, as it is stored with a task that crashed."""

from __future__ import annotations

import signal


def describe_exit(exit_code: int | None) -> str:
    """Describe an exit code in the convention of `subprocess`: negative for a signal, `None` when it is unknown."""
    if exit_code is None:
        return "its process exited with an unknown status"
    if exit_code >= 0:
        return f"its process exited with status {exit_code}"
    hint = ", as the kernel does when memory is short" if exit_code == -signal.SIGKILL else ""
    return f"its process was killed by signal {-exit_code} ({_name(-exit_code)}){hint}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return "unnamed"
