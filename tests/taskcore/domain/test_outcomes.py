"""Results of attempts."""

from __future__ import annotations

from taskcore.domain import outcomes
from taskcore.domain.states import Status


def test_starting_a_process_is_retried_with_backoff_up_to_a_limit() -> None:
    results = [outcomes.could_not_start(losses, "no process") for losses in range(20)]

    waits = [result.retry_in.total_seconds() for result in results if result.retry_in is not None]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits == sorted(waits)
    assert (len(waits), max(waits)) == (19, 300)
    assert (results[-1].status, results[-1].reason) == (Status.FAILED, "worker_lost")
