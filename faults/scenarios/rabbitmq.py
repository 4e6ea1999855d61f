"""RabbitMQ goes away, comes back, loses everything, or takes nothing."""

from __future__ import annotations

from faults.registry import fault
from faults.system.system import wait
from faults.trial import Trial

RETURN_S = 30.0
NEVER_FAIL = "submits never fail; all run within 30 s of its return"


@fault("rabbitmq-restart", done="RabbitMQ stopped in order and started", bar=NEVER_FAIL, is_telling=True)
def restart(trial: Trial) -> None:
    broker = trial.system.home.servers.rabbitmq
    with trial.under_load(all_run_within_s=RETURN_S):
        broker.stop()
        broker.start()
    require_no_failed_submit(trial)


@fault("rabbitmq-kill", done="kill -9 of RabbitMQ, and its start", bar=NEVER_FAIL)
def kill(trial: Trial) -> None:
    broker = trial.system.home.servers.rabbitmq
    with trial.under_load(all_run_within_s=RETURN_S):
        broker.kill()
        broker.start()
    require_no_failed_submit(trial)


@fault("rabbitmq-stopped", done="RabbitMQ stopped for 60 s", bar=NEVER_FAIL)
def stopped(trial: Trial) -> None:
    broker = trial.system.home.servers.rabbitmq
    with trial.under_load(all_run_within_s=RETURN_S):
        broker.stop()
        wait(trial.terms.of(60, 5))
        broker.start()
    require_no_failed_submit(trial)


@fault("rabbitmq-queues-deleted", done="every queue deleted under its consumers, three times", bar=NEVER_FAIL)
def queues_deleted(trial: Trial) -> None:
    host = trial.system.home.virtual_host
    with trial.under_load(all_run_within_s=RETURN_S):
        for _ in range(3):
            for queue in host.queues():
                host.delete(queue)
            wait(1)
    require_no_failed_submit(trial)


@fault("rabbitmq-memory-alarm", done="a memory alarm for 20 s: RabbitMQ takes no message", bar=NEVER_FAIL)
def memory_alarm(trial: Trial) -> None:
    broker = trial.system.home.servers.rabbitmq
    with trial.under_load(all_run_within_s=RETURN_S):
        broker.control("set_vm_memory_high_watermark", "absolute", "1MB")
        wait(trial.terms.of(20, 3))
        broker.control("set_vm_memory_high_watermark", "0.4")
    require_no_failed_submit(trial)


def require_no_failed_submit(trial: Trial) -> None:
    failed = sum(1 for offer in trial.offers if [one.answer for one in offer.tries] != [201])
    trial.require(failed == 0, f"{failed} submits failed")
