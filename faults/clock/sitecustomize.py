"""Shifts the wall clock of the Python process that starts with this directory on its PYTHONPATH, and of its children.

`FAULTS_CLOCK` names a file with the seconds to add; it is read again and again, so that the clock can be set while the
process runs. Shifted is what Python code calls: `time.time`, `time.time_ns`, `time.clock_gettime(CLOCK_REALTIME)`.
The monotonic clock goes on as ever, as it does where an operator sets the time.
"""

import os
import time

FILE = os.environ.get("FAULTS_CLOCK", "")
LOOK_EVERY_S = 0.1


class Shift:
    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._seconds = 0.0

    def seconds(self) -> float:
        now = time.monotonic()
        if now - self._read_at > LOOK_EVERY_S:
            self._read_at = now
            with open(FILE) as file:
                self._seconds = float(file.read() or self._seconds)
        return self._seconds


if FILE and os.path.exists(FILE):
    shift, real_time, real_clock = Shift(), time.time, time.clock_gettime

    def shifted_clock(clock: int) -> float:
        return real_clock(clock) + (shift.seconds() if clock == time.CLOCK_REALTIME else 0.0)

    time.time = lambda: real_time() + shift.seconds()
    time.time_ns = lambda: int((real_time() + shift.seconds()) * 1e9)
    time.clock_gettime = shifted_clock
