"""What a command writes: each line to the task's log, the end of all of it kept."""

from __future__ import annotations

import os
import select
import subprocess
import time
from contextlib import suppress

from taskcore.plugins.context import AttemptLog

MAX_LINE_BYTES = 4 * 1024
MAX_TAIL_BYTES = 16 * 1024
CHUNK_BYTES = 64 * 1024
POLL_INTERVAL_S = 0.1


class CommandOutput:
    """A line that is too long becomes several. Bytes that are no text become replacement characters."""

    def __init__(self, log: AttemptLog) -> None:
        self._log = log
        self._line = b""
        self._tail = b""
        self._is_cut = False

    @property
    def tail(self) -> str:
        """The end of it; a line with «…» stands before it where there was more."""
        text = self._tail.decode("utf-8", "replace")
        return f"…\n{text}" if self._is_cut else text

    def read_until_exit(self, process: subprocess.Popen[bytes], ends_at: float) -> bool:
        """Until the process has ended and written all. False: it had not at `ends_at` (of the monotonic clock).

        A process of its own that holds the pipe beyond its end is not waited for.
        """
        assert process.stdout is not None
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        is_open = True
        while is_open or process.poll() is None:
            if time.monotonic() >= ends_at:
                return False
            if not is_open:
                _wait_a_turn(process)
            elif poll.poll(POLL_INTERVAL_S * 1000):
                is_open = self._take(os.read(process.stdout.fileno(), CHUNK_BYTES))
            elif process.poll() is not None:
                break
        self._end_line()
        return True

    def _take(self, chunk: bytes) -> bool:
        """False at the end."""
        self._tail += chunk
        if len(self._tail) > MAX_TAIL_BYTES:
            self._tail, self._is_cut = self._tail[-MAX_TAIL_BYTES:], True
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            self._say(line)
        while len(self._line) > MAX_LINE_BYTES:
            self._say(self._line[:MAX_LINE_BYTES])
            self._line = self._line[MAX_LINE_BYTES:]
        return bool(chunk)

    def _end_line(self) -> None:
        if self._line:
            self._say(self._line)
            self._line = b""

    def _say(self, line: bytes) -> None:
        for start in range(0, max(1, len(line)), MAX_LINE_BYTES):
            self._log.info(line[start : start + MAX_LINE_BYTES].decode("utf-8", "replace").rstrip("\r"))


def _wait_a_turn(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(POLL_INTERVAL_S)
