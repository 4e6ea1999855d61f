"""The start of a service's program."""

from __future__ import annotations

import pytest

from taskcore.errors import InvalidSettings
from taskcore.service_main import run_program


def test_a_foreseen_error_is_one_line_on_stderr_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def command(*, prog_name: str) -> None:
        raise InvalidSettings(f"{prog_name} has no database")

    assert run_program("taskworker", command) == 2
    assert capsys.readouterr().err == "taskworker: taskworker has no database\n"


def test_a_program_that_ends_by_itself_has_status_0() -> None:
    assert run_program("taskworker", lambda prog_name: None) == 0
