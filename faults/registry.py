"""The faults by name, in the order in which they are written down, and how one of them is run."""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from faults.load.generator import count_tasks
from faults.network.proxies import Cables, laid
from faults.report import Row
from faults.system.sandbox import Home, Servers, home
from faults.system.system import KeptSystem, running_system
from faults.trial import Terms, Trial

LOGS = Path(__file__).with_name("logs")  # of the faults that were too much

Env = Mapping[str, str]

#: Where seconds are not judged, they are saved.
SHORT: Env = {"TASKCORE_WORKER__PROCESSES": "1", "TASKCORE_COORDINATOR__RESEND_AFTER_S": "3"}


@dataclass(frozen=True, slots=True)
class Fault:
    """`env` is for all processes of its system; those named in `cabled` reach the servers through proxies.

    `is_telling`: part of the short form.
    """

    name: str
    done: str
    bar: str
    inflict: Callable[[Trial], None]
    env: Env = field(default_factory=dict)
    cabled: Sequence[str] = ()
    is_telling: bool = False


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    *,
    done: str,
    bar: str,
    env: Env | None = None,
    cabled: Sequence[str] = (),
    is_telling: bool = False,
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Registers the function that inflicts it."""

    def register(inflict: Callable[[Trial], None]) -> Callable[[Trial], None]:
        FAULTS[name] = Fault(name, done, bar, inflict, env or {}, cabled, is_telling)
        return inflict

    return register


def run(fault: Fault, servers: Servers, terms: Terms) -> Row:
    """Never raises for what the system under trial does."""
    began = time.monotonic()
    with home(servers) as place, laid(place, fault.cabled) as cables, _system(fault, place, cables, terms) as system:
        trial = Trial(system, terms, place.directory, cables)
        try:
            fault.inflict(trial)
        except Exception:  # the row is told as failed, and the next fault has its turn
            trial.failures.append(f"the trial itself ended: {traceback.format_exc()}")
        findings = trial.findings()
        trial.failures += findings.broken
        if trial.failures:
            _keep_logs(fault, place)
        return Row(
            name=fault.name,
            done=fault.done,
            bar=fault.bar,
            offered=count_tasks(trial.offers),
            accepted=findings.accepted,
            lost=findings.lost,
            twice=findings.twice,
            recovered_s=trial.recovered_s,
            figures=trial.figures,
            failures=trial.failures,
            took_s=time.monotonic() - began,
            machine_load=os.getloadavg()[0],
        )


def _keep_logs(fault: Fault, place: Home) -> None:
    kept = LOGS / fault.name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for file in place.directory.glob("*.log"):
        shutil.copy(file, kept)


def _system(
    fault: Fault, place: Home, cables: Mapping[str, Cables], terms: Terms
) -> AbstractContextManager[KeptSystem]:
    env = {**(SHORT if terms.is_short else {}), **fault.env}
    return running_system(place, env, {name: one.env for name, one in cables.items()})
