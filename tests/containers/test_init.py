"""The first process of a container, here as an ordinary process. Reaping orphans is tested in containers."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

INIT = [sys.executable, "-m", "taskcore.init"]
#: Reports that it is ready, and exits with 7 on the signal that its argument names.
LISTENER = """
import signal, sys
number = signal.Signals[sys.argv[1]]
signal.signal(number, lambda *_: sys.exit(7))
print("listening", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def listener(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A program that runs under the first process."""
    command = [*INIT, sys.executable, "-c", LISTENER, signal.Signals(request.param).name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        yield process
        process.kill()


@pytest.mark.parametrize("listener", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP], indirect=True)
def test_signals_reach_the_program(listener: subprocess.Popen[str], request: pytest.FixtureRequest) -> None:
    number = request.node.callspec.params["listener"]

    listener.send_signal(number)

    assert listener.wait(60) == 7


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 128 + 15), ("kill -PIPE $$", 128 + 13)]
)
def test_exit_code_is_that_of_the_program(script: str, code: int) -> None:
    ended = subprocess.run([*INIT, "sh", "-c", script], timeout=60)

    assert ended.returncode == code


def test_missing_program_is_named() -> None:
    ended = subprocess.run([*INIT, "no-such-program"], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 127
    assert "no-such-program" in ended.stderr
