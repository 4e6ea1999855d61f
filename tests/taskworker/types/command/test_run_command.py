"""`run_command`: only what the operator allows, nothing of the worker's environment, and all that it says is kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from taskcore.plugins import Fail, Isolation
from taskcore.plugins.context import NullServices, TaskContext
from taskcore.settings import CommandSettings, Settings
from taskworker.types.command.output import MAX_LINE_BYTES, MAX_TAIL_BYTES
from taskworker.types.command.run_command import CommandFailed, RunCommand
from tests.taskworker.types.contexts import make_context, parse, run

PYTHON = sys.executable


class Lines(NullServices):
    """The task's log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        self.lines.append(message)


def context(program: str, services: NullServices | None = None, **command: Any) -> TaskContext:
    """One in which `it` is a program in Python."""
    settings = Settings(commands={"it": CommandSettings(argv=(PYTHON, "-c", program), **command)})
    return TaskContext(task_id=7, attempt=1, failures=0, settings=settings, services=services or Lines())


def test_it_runs_in_a_process_that_can_be_killed() -> None:
    assert RunCommand.isolation is Isolation.PROCESS


def test_its_output_is_the_result_and_in_the_log() -> None:
    lines = Lines()
    program = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); print('three', end='')"

    result = run(RunCommand, context(program, lines), command="it")

    assert result == {"exit_code": 0, "output": "one\ntwo\nthree"}
    assert lines.lines == ["one", "two", "three"]


def test_a_command_that_nobody_allowed_does_not_run() -> None:
    outcome = run(RunCommand, context("print(1)"), command="other")

    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.error) == ("unknown_command", "no command is configured as 'other'; configured: it")


def test_without_any_command_none_runs() -> None:
    outcome = run(RunCommand, make_context(), command="sh")

    assert isinstance(outcome, Fail)
    assert outcome.error.endswith("configured: none")


def test_arguments_are_given_as_they_are_and_never_to_a_shell() -> None:
    arguments = ["a b", "$(id)", "; rm -rf /", "*", ""]

    result = run(
        RunCommand,
        context("import sys, json; print(json.dumps(sys.argv[1:]))", max_arguments=5),
        command="it",
        arguments=arguments,
    )

    assert msgspec.json.decode(result["output"]) == arguments


def test_more_arguments_than_are_allowed_are_refused() -> None:
    outcome = run(RunCommand, context("print(1)", max_arguments=1), command="it", arguments=["a", "b"])

    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.error) == ("bad_arguments", "it takes at most 1 more arguments, not 2")


def test_it_reads_what_it_is_given_where_it_may() -> None:
    text = "äö" * 32_000
    program = "import sys; print(len(sys.stdin.buffer.read()))"

    read = run(RunCommand, context(program, stdin=True), command="it", stdin=text)
    unread = run(RunCommand, context(program), command="it", stdin=text)
    nothing = run(RunCommand, context(program), command="it")

    assert read["output"] == "128000\n"
    assert isinstance(unread, Fail)
    assert nothing["output"] == "0\n"


def test_it_gets_none_of_the_workers_environment_but_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_URL", "postgresql://secret")

    result = run(
        RunCommand,
        context("import os, json; print(json.dumps(dict(os.environ)))", env={"COLOUR": "red"}),
        command="it",
    )

    seen = msgspec.json.decode(result["output"])
    assert seen["COLOUR"] == "red"
    assert set(seen) <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "COLOUR"}


def test_it_runs_where_it_is_told_to(tmp_path: Any) -> None:
    result = run(RunCommand, context("import os; print(os.getcwd())", cwd=str(tmp_path)), command="it")

    assert result["output"] == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; print('no luck'); sys.exit(3)", "it ended with exit code 3\nno luck"),
        ("import os; os.kill(os.getpid(), 9)", r"it was ended by signal 9 \(SIGKILL\)"),
    ],
)
def test_another_exit_code_fails_with_the_end_of_the_output(program: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        run(RunCommand, context(program), command="it")


def test_a_program_that_is_not_there_fails() -> None:
    ctx = make_context(commands={"it": {"argv": ["/no/such/program"]}})

    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        run(RunCommand, ctx, command="it")


def test_its_memory_is_bounded() -> None:
    with pytest.raises(CommandFailed, match="MemoryError"):
        run(RunCommand, context("bytearray(1 << 30)", memory_mb=512), command="it")


def test_its_time_is_bounded() -> None:
    with pytest.raises(CommandFailed, match=r"took longer than 0\.5 s\nbegun"):
        run(
            RunCommand, context("import time; print('begun', flush=True); time.sleep(600)", timeout_s=0.5), command="it"
        )


def test_a_child_that_holds_its_output_is_not_waited_for() -> None:
    program = "import os, sys, time; os.fork() or (time.sleep(5), os._exit(0)); print('done')"

    assert run(RunCommand, context(program), command="it")["output"] == "done\n"


def test_a_flood_is_cut_to_its_end_and_long_lines_to_pieces() -> None:
    lines = Lines()

    result = run(RunCommand, context("print('x' * 1_000_000); print('end')", lines), command="it")

    assert len(result["output"]) <= MAX_TAIL_BYTES + 2
    assert result["output"].endswith("x\nend\n")
    assert max(map(len, lines.lines)) == MAX_LINE_BYTES
    assert "".join(lines.lines) == "x" * 1_000_000 + "end"


def test_what_is_no_text_is_replaced() -> None:
    result = run(RunCommand, context(r"import sys; sys.stdout.buffer.write(b'a\xffb\n')"), command="it")

    assert result["output"] == "a\N{REPLACEMENT CHARACTER}b\n"


@pytest.mark.parametrize(
    "parameters",
    [{"command": ""}, {"command": "it", "arguments": ["a\0b"]}, {"command": "it", "arguments": "ls"}, {}],
)
def test_parameters_that_cannot_be_meant_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        parse(RunCommand, **parameters)
