"""Why an attempt has to stop, and the exception that tells its code."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class InterruptCause(StrEnum):
    """Why an attempt has to stop."""

    CANCEL = "cancel"  # an operator or a client cancelled its task
    TIMEOUT = "timeout"  # its timeout has passed
    FENCE = "fence"  # its lease is gone, so another worker may hold the task
    SHUTDOWN = "shutdown"  # its worker is stopping


class Interrupted(BaseException):
    """Raised in an attempt that has to stop. Not an `Exception`, so that `except Exception` does not catch it."""

    cause: ClassVar[InterruptCause]


#: An exception that is raised in another thread must be a class, so there is one for each cause.
INTERRUPTED: dict[InterruptCause, type[Interrupted]] = {
    cause: type("Interrupted", (Interrupted,), {"cause": cause}) for cause in InterruptCause
}
