"""Everything Taskcore raises on purpose. A class's docstring is its message; HTTP codes live in `taskapi`."""

from __future__ import annotations

from collections.abc import Sequence


class TaskcoreError(Exception):
    """Something that Taskcore foresaw went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidSettings(TaskcoreError):
    """The settings cannot be used."""


class InvalidDocument(TaskcoreError):
    """A JSON value cannot be stored. `path` names the part of it that is at fault."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class InvalidPlugin(TaskcoreError):
    """A plugin's class does not keep to the plugin interface."""


class BrokerUnavailable(TaskcoreError):
    """The message broker cannot be reached."""


class DatabaseUnavailable(TaskcoreError):
    """The database cannot be reached at the moment."""


class LeaseLost(TaskcoreError):
    """The attempt is not held any more: its task was given to another, or is over."""


class InvalidLiveSetting(TaskcoreError):
    """A value for a live setting is not valid. `faults`: the path of each part at fault, and why."""

    def __init__(self, faults: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path)) or 'value'}: {why}" for path, why in faults))
        self.errors = faults


class InvalidTask(TaskcoreError):
    """A task cannot be submitted as it is described."""


class UnknownDatabase(TaskcoreError):
    """No database is configured by this name."""


class InvalidRecurrence(TaskcoreError):
    """A schedule's times cannot be told. `field` is `cron`, `every_s` or `timezone`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def first_line(error: BaseException) -> str:
    """Return the first line of the error's message for a log, or its `repr` when the message is empty."""
    return next(iter(str(error).splitlines()), "") or repr(error)
