"""Where the attempts of a type run."""

from __future__ import annotations

from enum import StrEnum


class Isolation(StrEnum):
    """Where attempts of a type run."""

    THREAD = "thread"  # in a process that runs other attempts at the same time
    PROCESS = "process"  # each in a process of its own, which can be killed
