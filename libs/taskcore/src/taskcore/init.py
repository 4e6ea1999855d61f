"""`python -m taskcore.init PROGRAM ARGUMENT...`: the first process of a container.

It starts the program, forwards signals to it, and exits with its exit code. Orphaned processes, such as those that a
task's command left running, become children of this process, which reaps them.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

#: Signals that a process causes itself, and signals that cannot be waited for.
NOT_FORWARDED = {
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGKILL,
    signal.SIGSEGV,
    signal.SIGSTOP,
    signal.SIGSYS,
    signal.SIGTRAP,
    signal.SIGTTIN,
    signal.SIGTTOU,
}
#: Python ignores these, but most programs expect the default action.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
EXIT_NOT_STARTED = 127


def run(command: list[str]) -> int:
    """Run `command`. Return its exit code, or 128 plus the number of the signal that killed it."""
    waited = signal.valid_signals() - NOT_FORWARDED
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)  # process 1 loses signals that it does not block
    try:
        # A process group of its own, so that it does not get Ctrl-C twice.
        program = os.posix_spawnp(
            command[0], command, os.environ, setpgroup=0, setsigmask=(), setsigdef=IGNORED_BY_PYTHON
        )
    except OSError as exc:
        print(f"taskcore.init: {exc.strerror}: {command[0]}", file=sys.stderr)
        return EXIT_NOT_STARTED
    while True:
        number = signal.sigwait(waited)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(program, number)
        elif (status := reap().get(program)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def reap() -> dict[int, int]:
    """Reap all dead children. Return their wait statuses by process id."""
    statuses: dict[int, int] = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[found[0]] = found[1]
    return statuses


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
