"""The faults, a module a subject. Importing one registers its faults."""

from importlib import import_module

SUBJECTS = ("deaths", "handovers", "broker", "database", "cuts", "messages")


def load() -> None:
    for subject in SUBJECTS:
        import_module(f"faults.rows.{subject}")
