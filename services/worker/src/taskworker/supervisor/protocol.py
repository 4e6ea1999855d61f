"""The commands that the supervisor sends to an executor process, which answers with `ProcessReport`s."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.domain.tasks import AttemptKey
from taskcore.plugins.interrupts import InterruptCause


@dataclass(frozen=True, slots=True)
class ConsumeQueues:
    """Consume these queues and no others."""

    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain within `grace_s` and exit. A second one makes the process exit at once."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop this attempt if it is here."""

    key: AttemptKey
    cause: InterruptCause


@dataclass(frozen=True, slots=True)
class RequestPause:
    """Ask this attempt to pause if it is here."""

    key: AttemptKey


@dataclass(frozen=True, slots=True)
class SetFence:
    """Interrupt everything and start nothing, because the lease is about to expire; or start tasks again."""

    is_up: bool


@dataclass(frozen=True, slots=True)
class SetLogLevel:
    level: str


Command = SetLogLevel | ConsumeQueues | Stop | Interrupt | RequestPause | SetFence
