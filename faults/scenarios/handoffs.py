"""Trouble at the moments when work changes hands: marked, not sent; sent, not confirmed; claimed, not told."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from faults.network.protocol_taps import ACK, PUBLISH, AmqpMethod, ClaimReply, Trigger
from faults.network.proxy import Proxy, Watch
from faults.registry import fault
from faults.system.system import COORDINATORS, WORKERS, wait
from faults.trial import Trial

RUN_WITHIN_S = 15.0
KILLED = "none lost, none run twice"
SPENT_NOTHING = "the tasks run within 15 s, nothing spent"


@fault(
    "coordinator-before-publish",
    done="kill -9 of a coordinator between mark and publish, 6 times",
    bar=KILLED,
    cabled=COORDINATORS,
    is_telling=True,
)
def before_publish(trial: Trial) -> None:
    _kill_coordinators(trial, lambda trigger: AmqpMethod(trigger, PUBLISH, is_up=True))


@fault(
    "coordinator-before-confirm",
    done="kill -9 of a coordinator between publish and confirm, 6 times",
    bar=KILLED,
    cabled=COORDINATORS,
    is_telling=True,
)
def before_confirm(trial: Trial) -> None:
    _kill_coordinators(trial, lambda trigger: AmqpMethod(trigger, ACK, is_up=False))


@fault(
    "claim-reply-lost",
    done="the connection cut right after a claim's commit, 10 times",
    bar=SPENT_NOTHING,
    cabled=WORKERS,
    is_telling=True,
)
def claim_reply_lost(trial: Trial) -> None:
    _cut_workers(trial, lambda one: trial.cables[one].postgres, ClaimReply)


@fault(
    "ack-lost",
    done="the connection to RabbitMQ cut instead of the acknowledgement after a claim, 10 times",
    bar=SPENT_NOTHING,
    cabled=WORKERS,
)
def ack_lost(trial: Trial) -> None:
    _cut_workers(trial, lambda one: trial.cables[one].rabbitmq, lambda trigger: AmqpMethod(trigger, ACK, is_up=True))


def _kill_coordinators(trial: Trial, watch: Callable[[Trigger], Watch]) -> None:
    """The one that is left, and the next life of the killed one, go on at once; lost messages are sent again."""
    triggers = {name: Trigger(_killer(trial, name)) for name in COORDINATORS}
    for name, trigger in triggers.items():
        _attach(trial.cables[name].rabbitmq, watch, trigger)
    wait(2)
    with trial.under_load(recovers_within_s=RUN_WITHIN_S + 10):
        for number in range(trial.terms.of(6, 1)):
            _fire(trial, triggers[COORDINATORS[number % 2]])
            wait(trial.terms.of(4, 1))
    deaths = sum(len(trial.system.keeper.deaths(name)) for name in COORDINATORS)
    trial.require(deaths >= trial.terms.of(6, 1), f"only {deaths} coordinators were killed")
    require_one_run_each(trial)


def _killer(trial: Trial, name: str) -> Callable[[], None]:
    return lambda: os.kill(trial.system.keeper[name].pid, signal.SIGKILL)


def _cut_workers(trial: Trial, proxy: Callable[[str], Proxy], watch: Callable[[Trigger], Watch]) -> None:
    trigger = Trigger()
    for name in WORKERS:
        _attach(proxy(name), watch, trigger)
    wait(2)
    with trial.under_load():
        for _ in range(trial.terms.of(10, 2)):
            _fire(trial, trigger)
            wait(1)
    trial.drain()
    trial.at_most("longest wait for a start s", trial.waits_s(trial.offers)[-1], RUN_WITHIN_S)
    require_one_run_each(trial)


def _attach(proxy: Proxy, watch: Callable[[Trigger], Watch], trigger: Trigger) -> None:
    """To all connections from now on: those that are there come again."""
    proxy.watch(lambda: watch(trigger))
    proxy.cut()


def _fire(trial: Trial, trigger: Trigger) -> None:
    trigger.arm()
    trial.require(trigger.fired.wait(30), "the message to act on never came")


def require_one_run_each(trial: Trial) -> None:
    """Beside what the retry policy repeats, no task ran twice, nor lost anything."""
    trial.drain()
    more = "SELECT count(*) FROM task WHERE attempt > failures + 1 OR losses > 0 OR status = 'failed'"
    trial.require(trial.system.value(more) == 0, f"{trial.system.value(more)} tasks ran twice, or lost something")
    runs = trial.system.journal.runs()
    twice = [task_id for task_id, all_ in runs.items() if len({one.attempt for one in all_}) != len(all_)]
    trial.require(not twice, f"{len(twice)} attempts ran twice, such as of task {twice[:1]}")
