"""What this machine can do, measured before anything is broken: the load is a share of it."""

from __future__ import annotations

import time

from faults.load.generator import Load, accepted
from faults.system.sandbox import Servers, home
from faults.system.system import running_system
from harness.waiting import eventually

SHARE = 0.4
LEAST, MOST = 20.0, 400.0
FLOOD = 2_000.0  # tasks a second: more than can be done
SECONDS = 5.0


def capacity(servers: Servers) -> float:
    """Tasks of the load's mix that are completed a second."""
    with home(servers) as place, running_system(place) as system:
        warm = Load(system.url, 100)
        warm.start()
        time.sleep(2)
        warm.stop()
        eventually(lambda: system.open_tasks() == 0)
        load = Load(system.url, FLOOD)
        began = time.monotonic()
        load.start()
        time.sleep(SECONDS)
        load.stop()
        eventually(lambda: system.open_tasks() == 0, 300, every_s=0.1)
        return len(accepted(load.offers)) / (time.monotonic() - began)


def rate(capacity_per_s: float) -> float:
    return min(MOST, max(LEAST, SHARE * capacity_per_s))
