"""Programs that start processes from a thread, as plugins do, and say how those ended.

python -m tests.taskcore.execution.children.stopping_children HOST CHILD
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from taskcore.embedded_worker import stop_signals
from taskcore.execution.child_signals import ignore_stop_signals


def terminate_program() -> object:
    return [_stop_program(number) for number in (signal.SIGTERM, signal.SIGINT)]


def _stop_program(number: int) -> int:
    with subprocess.Popen(["sleep", "600"]) as child:
        child.send_signal(number)
        return child.wait()


def terminate_fork() -> object:
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def use_pool() -> object:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])


CHILDREN: dict[str, Callable[[], object]] = {
    child.__name__: child for child in (terminate_program, terminate_fork, use_pool)
}


def executor(child: Callable[[], object]) -> object:
    """Run in a process that ignores signals, as executor processes do."""
    ignore_stop_signals()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(child).result()
    os.kill(os.getpid(), signal.SIGTERM)  # it still does
    return answer


def standalone(child: Callable[[], object]) -> object:
    """Run in a process whose event loop gets the signals."""

    async def run() -> object:
        signals = stop_signals()
        answer = await asyncio.to_thread(child)
        await asyncio.sleep(0)  # for what has been written to the loop's wake-up descriptor
        return answer if signals.empty() else "the signals of its child were its own"

    return asyncio.run(run())


HOSTS: dict[str, Callable[[Callable[[], object]], object]] = {host.__name__: host for host in (executor, standalone)}

if __name__ == "__main__":
    print(HOSTS[sys.argv[1]](CHILDREN[sys.argv[2]]))
