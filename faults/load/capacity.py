"""The capacity of this machine, measured before any fault. The load is a share of it."""

from __future__ import annotations

import time

from faults.load.generator import LoadGenerator, accepted_ids
from faults.system.sandbox import Servers, sandbox
from faults.system.system import running_system
from harness.waiting import eventually

LOAD_SHARE = 0.4
MIN_RATE, MAX_RATE = 20.0, 400.0
SATURATING_RATE = 2_000.0  # tasks per second: more than any machine completes
MEASURE_S = 5.0


def measure_capacity(servers: Servers) -> float:
    """Measure how many tasks of the load's mix are completed per second."""
    with sandbox(servers) as place, running_system(place) as system:
        warm = LoadGenerator(system.url, 100)
        warm.start()
        time.sleep(2)
        warm.stop()
        eventually(lambda: system.count_open_tasks() == 0)
        load = LoadGenerator(system.url, SATURATING_RATE)
        began = time.monotonic()
        load.start()
        time.sleep(MEASURE_S)
        load.stop()
        eventually(lambda: system.count_open_tasks() == 0, 300, poll_s=0.1)
        return len(accepted_ids(load.submissions)) / (time.monotonic() - began)


def load_rate(capacity_per_s: float) -> float:
    return min(MAX_RATE, max(MIN_RATE, LOAD_SHARE * capacity_per_s))
