"""The attempt table that a supervisor shares with an executor process."""

from __future__ import annotations

from multiprocessing import get_context

from taskworker.supervisor.attempt_table import NO_SLOT, AttemptEntry, AttemptTable
from tests.taskworker.supervisor.fakes import claimed


def place_and_exit(table: AttemptTable) -> None:
    writer = table.writer()
    writer.clear(writer.place(claimed(1), None, own_process=False))
    writer.place(claimed(7, 3), 12.5, own_process=False)


def test_entries_outlive_the_process_that_made_them() -> None:
    table = AttemptTable(2)
    process = get_context("spawn").Process(target=place_and_exit, args=(table,))

    process.start()
    process.join()

    assert process.exitcode == 0
    assert table.entries() == [AttemptEntry(7, 3, 12.5)]


def test_attempts_beyond_the_number_of_slots_are_not_entered() -> None:
    table = AttemptTable(1)
    writer = table.writer()

    first, second = (writer.place(claimed(task_id), None, own_process=False) for task_id in (1, 2))
    writer.clear(second)

    assert (first, second) == (0, NO_SLOT)
    assert table.entries() == [AttemptEntry(1, 1, None)]


def test_an_attempt_in_its_own_process_is_not_entered() -> None:
    table = AttemptTable(1)

    assert table.writer().place(claimed(1), None, own_process=True) == NO_SLOT
    assert table.entries() == []
