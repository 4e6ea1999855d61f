"""The board that a supervisor shares with an executor process."""

from __future__ import annotations

from multiprocessing import get_context
from uuid import uuid4

from taskcore.domain.tasks import ClaimedTask, Lease
from taskworker.supervisor.attempt_table import NO_SLOT, AttemptEntry, AttemptTable


def claimed(task_id: int, attempt: int = 1) -> ClaimedTask:
    return ClaimedTask(Lease(task_id, attempt, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0)


def post_and_die(board: AttemptTable) -> None:
    writer = board.writer()
    writer.clear(writer.place(claimed(1), None, in_process=False))
    writer.place(claimed(7, 3), 12.5, in_process=False)


def test_what_a_process_posted_outlives_it() -> None:
    board = AttemptTable(2)
    process = get_context("spawn").Process(target=post_and_die, args=(board,))

    process.start()
    process.join()

    assert process.exitcode == 0
    assert board.entries() == [AttemptEntry(7, 3, 12.5)]


def test_more_attempts_than_places_go_unposted() -> None:
    board = AttemptTable(1)
    writer = board.writer()

    first, second = (writer.place(claimed(n), None, in_process=False) for n in (1, 2))
    writer.clear(second)

    assert (first, second) == (0, NO_SLOT)
    assert board.entries() == [AttemptEntry(1, 1, None)]


def test_an_attempt_with_a_process_of_its_own_is_not_posted() -> None:
    board = AttemptTable(1)

    assert board.writer().place(claimed(1), None, in_process=True) == NO_SLOT
    assert board.entries() == []
