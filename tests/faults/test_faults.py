"""The most telling of the faults that `make faults` inflicts, in short: the invariants alone are judged, no seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults import scenarios
from faults.registry import FAULTS, Fault, run
from faults.report import text
from faults.system.sandbox import Servers, running_servers
from faults.trial import Terms

LOAD_PER_S = 20.0

scenarios.load()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with running_servers() as servers:
        yield servers


@pytest.mark.parametrize("fault", [pytest.param(one, id=one.name) for one in FAULTS.values() if one.is_telling])
def test_a_fault_costs_no_task(servers: Servers, fault: Fault) -> None:
    row = run(fault, servers, Terms(LOAD_PER_S, is_short=True))

    assert row.has_passed, text(row)
    assert row.accepted > 0
