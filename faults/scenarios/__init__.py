"""The faults, a module a subject. Importing one registers its faults."""

from importlib import import_module

SUBJECTS = (
    "deaths",
    "stops",
    "handovers",
    "broker",
    "database",
    "cuts",
    "messages",
    "crashes",
    "clock",
    "long_transactions",
    "cancels",
    "backlog",
)


def load() -> None:
    for subject in SUBJECTS:
        import_module(f"faults.scenarios.{subject}")
