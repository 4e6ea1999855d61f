"""The faults by name, in order of definition, and how to run one of them."""

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
from faults.network.proxies import Proxies, proxied
from faults.report import Result
from faults.system.databases import DatabaseFactory
from faults.system.sandbox import Sandbox, Servers, sandbox
from faults.system.system import SupervisedSystem, running_system
from faults.trial import Trial, TrialConfig

LOGS = Path(__file__).with_name("logs")  # of failed faults

Env = Mapping[str, str]

#: Settings that make a smoke run faster; it does not check durations.
SMOKE_SETTINGS: Env = {"TASKCORE_WORKER__PROCESSES": "1", "TASKCORE_COORDINATOR__RESEND_AFTER_S": "3"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `env` applies to all processes; those named in `proxied` reach the servers through proxies.

    `own_database` brings a PostgreSQL of its own. `is_smoke`: part of the short form.
    """

    name: str
    action: str
    criterion: str
    inject: Callable[[Trial], None]
    env: Env = field(default_factory=dict)
    proxied: Sequence[str] = ()
    is_smoke: bool = False
    own_database: DatabaseFactory | None = None


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    *,
    action: str,
    criterion: str,
    env: Env | None = None,
    proxied: Sequence[str] = (),
    is_smoke: bool = False,
    own_database: DatabaseFactory | None = None,
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Register the decorated function, which injects the fault."""

    def register(inflict: Callable[[Trial], None]) -> Callable[[Trial], None]:
        FAULTS[name] = Fault(name, action, criterion, inflict, env or {}, proxied, is_smoke, own_database)
        return inflict

    return register


def run_fault(fault: Fault, servers: Servers, config: TrialConfig) -> Result:
    """Run the trial and return its result. Failures of the system under test never raise."""
    began = time.monotonic()
    with (
        sandbox(servers, fault.own_database) as place,
        proxied(place, fault.proxied) as proxies,
        _system(fault, place, proxies, config) as system,
    ):
        trial = Trial(system, config, place.directory, proxies)
        try:
            fault.inject(trial)
        except Exception:  # reported as a failed result, so that the next fault still runs
            trial.failures.append(f"the trial raised: {traceback.format_exc()}")
        findings = trial.findings()
        trial.failures += findings.violations
        if trial.failures:
            _keep_logs(fault, place)
        return Result(
            name=fault.name,
            action=fault.action,
            criterion=fault.criterion,
            submitted=count_tasks(trial.submissions),
            accepted=findings.accepted,
            lost=findings.lost,
            reruns=findings.reruns,
            recovered_s=trial.recovered_s,
            figures=trial.figures,
            failures=trial.failures,
            took_s=time.monotonic() - began,
            machine_load=os.getloadavg()[0],
        )


def _keep_logs(fault: Fault, place: Sandbox) -> None:
    kept = LOGS / fault.name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for file in place.directory.glob("*.log"):
        shutil.copy(file, kept)


def _system(
    fault: Fault, place: Sandbox, proxies: Mapping[str, Proxies], config: TrialConfig
) -> AbstractContextManager[SupervisedSystem]:
    env = {**(SMOKE_SETTINGS if config.is_smoke else {}), **fault.env}
    return running_system(place, env, {name: one.env for name, one in proxies.items()})
