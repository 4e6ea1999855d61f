"""The most telling of the faults that `make faults` inflicts, in short: the invariants alone are judged, no seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults import scenarios
from faults.registry import FAULTS, Fault, run_fault
from faults.report import format_result
from faults.system.sandbox import Servers, running_servers
from faults.trial import TrialConfig

LOAD_PER_S = 20.0

scenarios.load()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with running_servers() as servers:
        yield servers


@pytest.mark.parametrize("fault", [pytest.param(one, id=one.name) for one in FAULTS.values() if one.is_smoke])
def test_a_fault_costs_no_task(servers: Servers, fault: Fault) -> None:
    row = run_fault(fault, servers, TrialConfig(LOAD_PER_S, is_smoke=True))

    assert row.has_passed, format_result(row)
    assert row.accepted > 0
