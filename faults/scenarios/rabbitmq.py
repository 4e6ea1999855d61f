"""RabbitMQ stops, restarts, loses its queues, or blocks publishers."""

from __future__ import annotations

from faults.registry import fault
from faults.system.system import wait
from faults.trial import Trial

RECOVERY_LIMIT_S = 30.0
#: The queues of connected workers are exclusive: RabbitMQ lets no other connection delete them.
PRESENCE_PREFIX = "worker."
CRITERION = "submissions never fail; all tasks run within 30 s of its return"


@fault("rabbitmq-restarted", action="RabbitMQ restarted gracefully", criterion=CRITERION, is_smoke=True)
def restart(trial: Trial) -> None:
    broker = trial.system.sandbox.servers.rabbitmq
    with trial.under_load(all_run_within_s=RECOVERY_LIMIT_S):
        broker.stop()
        broker.start()
    require_no_failed_submit(trial)


@fault("rabbitmq-killed", action="kill -9 of RabbitMQ, and a restart", criterion=CRITERION)
def kill(trial: Trial) -> None:
    broker = trial.system.sandbox.servers.rabbitmq
    with trial.under_load(all_run_within_s=RECOVERY_LIMIT_S):
        broker.kill()
        broker.start()
    require_no_failed_submit(trial)


@fault("rabbitmq-stopped", action="RabbitMQ stopped for 60 s", criterion=CRITERION)
def stopped(trial: Trial) -> None:
    broker = trial.system.sandbox.servers.rabbitmq
    with trial.under_load(all_run_within_s=RECOVERY_LIMIT_S):
        broker.stop()
        wait(trial.config.pick(60, 5))
        broker.start()
    require_no_failed_submit(trial)


@fault("rabbitmq-queues-deleted", action="every queue deleted while it has consumers, three times", criterion=CRITERION)
def queues_deleted(trial: Trial) -> None:
    host = trial.system.sandbox.virtual_host
    with trial.under_load(all_run_within_s=RECOVERY_LIMIT_S):
        for _ in range(3):
            for queue in host.queues():
                if not queue.startswith(PRESENCE_PREFIX):
                    host.delete(queue)
            wait(1)
    require_no_failed_submit(trial)


@fault(
    "rabbitmq-memory-alarm",
    action="a memory alarm for 20 s, in which RabbitMQ accepts no messages",
    criterion=CRITERION,
)
def memory_alarm(trial: Trial) -> None:
    broker = trial.system.sandbox.servers.rabbitmq
    with trial.under_load(all_run_within_s=RECOVERY_LIMIT_S):
        broker.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1MB")
        wait(trial.config.pick(20, 3))
        broker.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    require_no_failed_submit(trial)


def require_no_failed_submit(trial: Trial) -> None:
    failed = sum(1 for submission in trial.submissions if [one.outcome for one in submission.requests] != [201])
    trial.require(failed == 0, f"{failed} submissions failed")
