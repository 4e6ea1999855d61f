"""The hooks of an attempt, for what watches attempts without taking part in them: metrics, log context, traces."""

from __future__ import annotations

from collections.abc import Sequence

from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.tasks import Claim, ClaimedTask, FinishedAttempt


class AttemptObserver:
    """Base class of observers. Every hook does nothing, so override those that you need. Hooks must not raise.

    An attempt is claimed, started, ended, and then either settled or refused. Claims and settlements are in batches,
    because a worker makes thousands of them a second. Hooks are called from several threads.
    """

    def claimed(self, claims: Sequence[Claim], asked_ns: int) -> None:
        """A statement that was sent at `asked_ns` (Unix time) claimed these tasks."""

    def started(self, task: ClaimedTask) -> None:
        """An attempt starts. Context variables that this hook sets last until the end of the attempt."""

    def ended(self, task: ClaimedTask, result: AttemptResult | None) -> None:
        """An attempt ended. `None` means that its lease is gone, so that it is neither settled nor refused.

        The hook runs in the context of `started`, unless the lease was gone before the attempt started.
        """

    def settled(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        """A statement that was sent at `asked_ns` (Unix time) stored these results. There may be none."""

    def refused(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        """The same statement did not store these results, because their leases were gone. Often there are none."""
