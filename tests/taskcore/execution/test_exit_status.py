"""How the end of a process reads in the error of its task."""

from __future__ import annotations

import pytest

from taskcore.execution.exit_status import describe_exit


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (-9, "was killed by signal 9 (SIGKILL), as the kernel does when memory is short"),
        (-11, "was killed by signal 11 (SIGSEGV)"),
        (-60, "was killed by signal 60 (unnamed)"),
        (3, "exited with status 3"),
        (None, "exited with an unknown status"),
    ],
)
def test_exit_is_described_in_words(exit_code: int | None, words: str) -> None:
    assert describe_exit(exit_code) == words
