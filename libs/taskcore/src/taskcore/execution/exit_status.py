"""The exit of a process in words, for the errors of tasks."""

from __future__ import annotations

import signal


def describe_exit(exit_code: int | None) -> str:
    """Return the predicate of a sentence about a process that has exited, such as "exited with status 3".

    Exit codes are those of `subprocess`: negative for a signal. `None` means that it is unknown.
    """
    if exit_code is None:
        return "exited with an unknown status"
    if exit_code >= 0:
        return f"exited with status {exit_code}"
    hint = ", as the kernel does when memory is short" if exit_code == -signal.SIGKILL else ""
    return f"was killed by signal {-exit_code} ({_name(-exit_code)}){hint}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return "unnamed"
