"""The board that a supervisor shares with an executor process."""

from __future__ import annotations

from multiprocessing import get_context
from uuid import uuid4

from taskcore.domain.tasks import Claimed, Lease
from taskworker.supervisor.attempt_table import NOWHERE, Board, Posted


def claimed(task_id: int, attempt: int = 1) -> Claimed:
    return Claimed(Lease(task_id, attempt, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0)


def post_and_die(board: Board) -> None:
    writer = board.writer()
    writer.clear(writer.place(claimed(1), None, in_process=False))
    writer.place(claimed(7, 3), 12.5, in_process=False)


def test_what_a_process_posted_outlives_it() -> None:
    board = Board(2)
    process = get_context("spawn").Process(target=post_and_die, args=(board,))

    process.start()
    process.join()

    assert process.exitcode == 0
    assert board.posted() == [Posted(7, 3, 12.5)]


def test_more_attempts_than_places_go_unposted() -> None:
    board = Board(1)
    writer = board.writer()

    first, second = (writer.place(claimed(n), None, in_process=False) for n in (1, 2))
    writer.clear(second)

    assert (first, second) == (0, NOWHERE)
    assert board.posted() == [Posted(1, 1, None)]


def test_an_attempt_with_a_process_of_its_own_is_not_posted() -> None:
    board = Board(1)

    assert board.writer().place(claimed(1), None, in_process=True) == NOWHERE
    assert board.posted() == []
