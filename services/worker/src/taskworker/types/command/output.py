"""The output of a command: each line goes to the task's log, and the end of the output is kept."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from contextlib import suppress

from taskcore.plugins.context import AttemptLog

MAX_LINE_BYTES = 4 * 1024
MAX_TAIL_BYTES = 16 * 1024
CHUNK_BYTES = 64 * 1024
POLL_INTERVAL_S = 0.1


class CommandOutput:
    """Collects output. Long lines are split; invalid UTF-8 becomes replacement characters."""

    def __init__(self, log: AttemptLog) -> None:
        self._log = log
        self._line = b""
        self._tail = b""
        self._is_truncated = False

    @property
    def tail(self) -> str:
        """The end of the output, after a line with `…` if there was more."""
        text = self._tail.decode("utf-8", "replace")
        return f"…\n{text}" if self._is_truncated else text

    def read_until_exit(self, process: subprocess.Popen[bytes], ends_at: float) -> bool:
        """Read until the process has exited, and all that it wrote. Return False if `ends_at` comes first.

        `ends_at` is a time of the monotonic clock. What its children write after its exit is not read.
        """
        assert process.stdout is not None
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        is_open = True
        while process.poll() is None:
            if time.monotonic() >= ends_at:
                return False
            if not is_open:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_INTERVAL_S)
            elif poll.poll(POLL_INTERVAL_S * 1000):
                is_open = self._add(os.read(process.stdout.fileno(), CHUNK_BYTES))
        self._drain(process.stdout.fileno())
        return True

    def _drain(self, pipe: int) -> None:
        """Read what is in the pipe now: its writers may never stop, and may keep it open for ever."""
        left = _bytes_in(pipe)
        while left > 0:
            chunk = os.read(pipe, min(left, CHUNK_BYTES))
            left -= len(chunk)
            self._add(chunk)
        if self._line:
            self._log_line(self._line)
            self._line = b""

    def _add(self, chunk: bytes) -> bool:
        """Return False at the end of the output."""
        self._tail += chunk
        if len(self._tail) > MAX_TAIL_BYTES:
            self._tail, self._is_truncated = self._tail[-MAX_TAIL_BYTES:], True
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            self._log_line(line)
        while len(self._line) > MAX_LINE_BYTES:
            self._log_line(self._line[:MAX_LINE_BYTES])
            self._line = self._line[MAX_LINE_BYTES:]
        return bool(chunk)

    def _log_line(self, line: bytes) -> None:
        for start in range(0, max(1, len(line)), MAX_LINE_BYTES):
            self._log.info(line[start : start + MAX_LINE_BYTES].decode("utf-8", "replace").rstrip("\r"))


def _bytes_in(pipe: int) -> int:
    (size,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, struct.pack("i", 0)))
    return int(size)
