"""Failures during a handoff: marked but not published; published but not confirmed; claimed but the reply lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from faults.network.protocol_taps import ACK, PUBLISH, AmqpMethodTap, ClaimReplyTap, Trigger
from faults.network.proxy import Proxy, Tap
from faults.registry import fault
from faults.system.system import COORDINATORS, WORKERS, wait
from faults.trial import Trial

RUN_WITHIN_S = 15.0
NONE_LOST = "no task lost, none run twice"
NOTHING_CHARGED = "the tasks run within 15 s without a charge"


@fault(
    "coordinator-killed-before-publish",
    action="kill -9 of a coordinator between mark and publish, 6 times",
    criterion=NONE_LOST,
    proxied=COORDINATORS,
    is_smoke=True,
)
def before_publish(trial: Trial) -> None:
    _kill_coordinators(trial, lambda trigger: AmqpMethodTap(trigger, PUBLISH, from_client=True))


@fault(
    "coordinator-killed-before-confirm",
    action="kill -9 of a coordinator between publish and confirm, 6 times",
    criterion=NONE_LOST,
    proxied=COORDINATORS,
    is_smoke=True,
)
def before_confirm(trial: Trial) -> None:
    _kill_coordinators(trial, lambda trigger: AmqpMethodTap(trigger, ACK, from_client=False))


@fault(
    "claim-reply-lost",
    action="the connection cut right after a claim's commit, 10 times",
    criterion=NOTHING_CHARGED,
    proxied=WORKERS,
    is_smoke=True,
)
def claim_reply_lost(trial: Trial) -> None:
    _cut_workers(trial, lambda one: trial.proxies[one].postgres, ClaimReplyTap)


@fault(
    "ack-lost",
    action="the connection to RabbitMQ cut instead of the acknowledgement after a claim, 10 times",
    criterion=NOTHING_CHARGED,
    proxied=WORKERS,
)
def ack_lost(trial: Trial) -> None:
    _cut_workers(
        trial, lambda one: trial.proxies[one].rabbitmq, lambda trigger: AmqpMethodTap(trigger, ACK, from_client=True)
    )


def _kill_coordinators(trial: Trial, watch: Callable[[Trigger], Tap]) -> None:
    """The other coordinator and the restarted one continue at once; lost messages are sent again."""
    triggers = {name: Trigger(_killer(trial, name)) for name in COORDINATORS}
    for name, trigger in triggers.items():
        _attach(trial.proxies[name].rabbitmq, watch, trigger)
    wait(2)
    with trial.under_load(recovers_within_s=RUN_WITHIN_S + 10):
        for number in range(trial.config.pick(6, 1)):
            _fire(trial, triggers[COORDINATORS[number % 2]])
            wait(trial.config.pick(4, 1))
    deaths = sum(len(trial.system.restarter.exit_codes(name)) for name in COORDINATORS)
    trial.require(deaths >= trial.config.pick(6, 1), f"only {deaths} coordinators were killed")
    require_each_ran_once(trial)


def _killer(trial: Trial, name: str) -> Callable[[], None]:
    return lambda: os.kill(trial.system.restarter[name].pid, signal.SIGKILL)


def _cut_workers(trial: Trial, proxy: Callable[[str], Proxy], watch: Callable[[Trigger], Tap]) -> None:
    trigger = Trigger()
    for name in WORKERS:
        _attach(proxy(name), watch, trigger)
    wait(2)
    with trial.under_load():
        for _ in range(trial.config.pick(10, 2)):
            _fire(trial, trigger)
            wait(1)
    trial.drain()
    trial.at_most("longest wait for a start s", trial.start_delays_s(trial.submissions)[-1], RUN_WITHIN_S)
    require_each_ran_once(trial)


def _attach(proxy: Proxy, watch: Callable[[Trigger], Tap], trigger: Trigger) -> None:
    """Attach the tap to all connections; present ones are reset and reconnect."""
    proxy.set_tap(lambda: watch(trigger))
    proxy.reset_once()


def _fire(trial: Trial, trigger: Trigger) -> None:
    trigger.arm()
    trial.require(trigger.fired.wait(30), "the expected message never came")


def require_each_ran_once(trial: Trial) -> None:
    """Require that no task ran twice, except for retries, and that none was charged a loss."""
    trial.drain()
    more = "SELECT count(*) FROM task WHERE attempt > failures + 1 OR worker_losses > 0 OR status = 'failed'"
    trial.require(trial.system.scalar(more) == 0, f"{trial.system.scalar(more)} tasks ran twice or were charged")
    runs = trial.system.journal.runs()
    twice = [task_id for task_id, all_ in runs.items() if len({one.attempt for one in all_}) != len(all_)]
    trial.require(not twice, f"{len(twice)} attempts ran twice, such as of task {twice[:1]}")
