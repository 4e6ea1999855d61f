"""`python -m taskcore.init PROGRAM ARGUMENT...`: the first process of a container.

It starts the program, passes on the signals that come, and ends as the program ends. Whatever loses its parent
meanwhile, such as what a task's command left behind, becomes a child of this process, which lets none stay a zombie.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

#: Those that a process gets for what it does itself, and those that nobody can wait for, are not passed on.
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
#: What Python ignores, and most programs do not expect to be ignored.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
EXIT_NOT_STARTED = 127


def run(command: list[str]) -> int:
    """Answers the exit code, which is 128 and the signal's number where a signal ended the program."""
    waited = signal.valid_signals() - NOT_FORWARDED
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)  # the kernel drops what a first process neither blocks nor handles
    try:
        # In a group of its own, so that it does not hear Ctrl-C twice.
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
    """Takes in the dead. Answers how each ended."""
    dead: dict[int, int] = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            dead[found[0]] = found[1]
    return dead


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
