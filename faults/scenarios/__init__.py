"""The faults, one module per subject. Importing a module registers its faults."""

from importlib import import_module

SUBJECTS = (
    "kills",
    "shutdowns",
    "handoffs",
    "rabbitmq",
    "queues",
    "postgres",
    "postgres_failover",
    "partitions",
    "duplicate_messages",
    "crashing_tasks",
    "clock_skew",
    "long_transactions",
    "cancellation",
    "connections",
    "backlog",
    "unserved_types",
)


def load() -> None:
    for subject in SUBJECTS:
        import_module(f"faults.scenarios.{subject}")
