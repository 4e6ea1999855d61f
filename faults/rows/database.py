"""PostgreSQL restarts, crashes, cuts its clients off, takes no writes, or has no connection left."""

from __future__ import annotations

from typing import Literal

from faults.registry import fault
from faults.system import WORKERS
from faults.trial import Trial

SURVIVE = "workers survive and report what they finished; API 503, not 500 or a hang"


@fault("postgres-fast", done="PostgreSQL restarted in order", bar=SURVIVE)
def fast(trial: Trial) -> None:
    _restart(trial, "fast")


@fault("postgres-immediate", done="PostgreSQL crashed and restarted", bar=SURVIVE, is_telling=True)
def immediate(trial: Trial) -> None:
    _restart(trial, "immediate")


def _restart(trial: Trial, mode: Literal["fast", "immediate"]) -> None:
    with trial.under_load():
        trial.system.home.servers.postgres.restart(mode)
    require_that_all_lived(trial)


def require_that_all_lived(trial: Trial) -> None:
    """Neither workers nor the API were restarted, and what ran through the trouble was not run again."""
    keeper = trial.system.keeper
    for name in (*WORKERS, "api"):
        trial.require(not keeper.deaths(name), f"{name} ended with {keeper.deaths(name)}")
    lost = trial.system.value("SELECT count(*) FROM task_attempt WHERE outcome IN ('lost', 'crashed')")
    trial.require(lost == 0, f"{lost} runs were not reported")
