"""The errors that Taskcore raises on purpose. The docstring is the default message; HTTP codes are in `taskapi`."""

from __future__ import annotations

from collections.abc import Sequence


class TaskcoreError(Exception):
    """An error that Taskcore anticipates."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidSettings(TaskcoreError):
    """The settings are invalid."""


class InvalidDocument(TaskcoreError):
    """A JSON value cannot be stored. `path` names the invalid part."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class InvalidPlugin(TaskcoreError):
    """A plugin class does not implement the plugin interface."""


class BrokerUnavailable(TaskcoreError):
    """The message broker cannot be reached."""


class QueueRefused(TaskcoreError):
    """The broker does not accept the declaration of a queue."""


class DatabaseUnavailable(TaskcoreError):
    """The database is currently unavailable."""


class LeaseLost(TaskcoreError):
    """The lease on the attempt is lost: the task is finished, or another worker holds it."""


class InvalidLiveSetting(TaskcoreError):
    """A value for a live setting is invalid. `errors` has the path and the message of each invalid part."""

    def __init__(self, faults: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path)) or 'value'}: {why}" for path, why in faults))
        self.errors = faults


class InvalidTask(TaskcoreError):
    """A task cannot be submitted as described."""


class UnknownDatabase(TaskcoreError):
    """No database is configured under this name."""


class PrivilegedRole(TaskcoreError):
    """The role of a read-only database may do more than a READ ONLY transaction bounds."""


class InvalidRecurrence(TaskcoreError):
    """A schedule's times cannot be computed. `field` is `cron`, `every_s` or `timezone`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its `repr` when the message is empty. For logs."""
    return next(iter(str(error).splitlines()), "") or repr(error)
