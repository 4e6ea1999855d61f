"""`run_command`: what the operator allows, the environment, the limits and the output."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from taskcore.plugins import Fail, Isolation
from taskcore.settings import CommandSettings
from taskcore.testing import AttemptEnvironment, LogLine, parse_parameters
from taskworker.types.command.output import MAX_LINE_BYTES, MAX_TAIL_BYTES
from taskworker.types.command.run_command import CommandFailed, RunCommand
from tests.taskworker.types.environments import make_environment

PYTHON = sys.executable


def environment(program: str, **command: Any) -> AttemptEnvironment:
    """Return an environment in which the command `it` runs a Python program."""
    return make_environment(commands={"it": CommandSettings(argv=(PYTHON, "-c", program), **command)})


def test_command_runs_in_a_process() -> None:
    assert RunCommand.isolation is Isolation.PROCESS


def test_output_is_the_result_and_is_logged() -> None:
    program = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); print('three', end='')"

    env = environment(program)

    result = env.run(RunCommand, command="it")

    assert result == {"exit_code": 0, "output": "one\ntwo\nthree"}
    assert env.log_lines == [LogLine("info", "one"), LogLine("info", "two"), LogLine("info", "three")]


def test_unknown_command_does_not_run() -> None:
    outcome = environment("print(1)").run(RunCommand, command="other")

    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.error) == ("unknown_command", "no command is configured as 'other'; configured: it")


def test_no_command_runs_by_default() -> None:
    outcome = make_environment().run(RunCommand, command="sh")

    assert isinstance(outcome, Fail)
    assert outcome.error.endswith("configured: none")


def test_arguments_are_passed_unchanged_without_a_shell() -> None:
    arguments = ["a b", "$(id)", "; rm -rf /", "*", ""]

    result = environment("import sys, json; print(json.dumps(sys.argv[1:]))", max_arguments=5).run(
        RunCommand,
        command="it",
        arguments=arguments,
    )

    assert msgspec.json.decode(result["output"]) == arguments


def test_too_many_arguments_are_refused() -> None:
    outcome = environment("print(1)", max_arguments=1).run(RunCommand, command="it", arguments=["a", "b"])

    assert isinstance(outcome, Fail)
    assert (outcome.reason, outcome.error) == ("bad_arguments", "it takes up to 1 arguments, not 2")


def test_stdin_is_passed_if_allowed() -> None:
    text = "äö" * 32_000
    program = "import sys; print(len(sys.stdin.buffer.read()))"

    read = environment(program, stdin=True).run(RunCommand, command="it", stdin=text)
    unread = environment(program).run(RunCommand, command="it", stdin=text)
    nothing = environment(program).run(RunCommand, command="it")

    assert read["output"] == "128000\n"
    assert isinstance(unread, Fail)
    assert nothing["output"] == "0\n"


def test_only_named_variables_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_URL", "postgresql://secret")

    result = environment("import os, json; print(json.dumps(dict(os.environ)))", env={"COLOUR": "red"}).run(
        RunCommand,
        command="it",
    )

    seen = msgspec.json.decode(result["output"])
    assert seen["COLOUR"] == "red"
    assert set(seen) <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "COLOUR"}


def test_command_runs_in_the_configured_directory(tmp_path: Any) -> None:
    result = environment("import os; print(os.getcwd())", cwd=str(tmp_path)).run(RunCommand, command="it")

    assert result["output"] == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; print('no luck'); sys.exit(3)", "it exited with status 3\nno luck"),
        ("import os; os.kill(os.getpid(), 9)", r"it was killed by signal 9 \(SIGKILL\)"),
    ],
)
def test_nonzero_exit_fails_with_the_end_of_the_output(program: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        environment(program).run(RunCommand, command="it")


def test_missing_program_fails() -> None:
    env = make_environment(commands={"it": {"argv": ["/no/such/program"]}})

    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        env.run(RunCommand, command="it")


def test_memory_limit_applies() -> None:
    with pytest.raises(CommandFailed, match="MemoryError"):
        environment("bytearray(1 << 30)", memory_mb=512).run(RunCommand, command="it")


def test_time_limit_applies() -> None:
    program = "import time; print('begun', flush=True); time.sleep(600)"

    with pytest.raises(CommandFailed, match=r"took longer than 0\.5 s\nbegun"):
        environment(program, timeout_s=0.5).run(RunCommand, command="it")


def test_child_that_keeps_the_output_open_is_not_waited_for() -> None:
    program = "import os, sys, time; os.fork() or (time.sleep(5), os._exit(0)); print('done')"

    assert environment(program).run(RunCommand, command="it")["output"] == "done\n"


def test_child_that_goes_on_writing_is_not_waited_for() -> None:
    program = """
import os, sys
if os.fork() == 0:
    while True:
        os.write(1, b"tick" * 10_000)
sys.stdout.write("x" * 1_000_000 + "done")
"""

    result = environment(program, timeout_s=60).run(RunCommand, command="it")

    assert result["exit_code"] == 0


def test_all_that_the_command_wrote_is_read_after_its_exit() -> None:
    program = "import os, sys; os.fork() or os._exit(os.system('sleep 5')); sys.stdout.write('x' * 60_000 + 'end')"

    env = environment(program)
    result = env.run(RunCommand, command="it")

    assert result["output"].endswith("xend")
    assert sum(len(line.message) for line in env.log_lines) == 60_003


def test_command_that_closes_its_output_is_waited_for() -> None:
    program = "import os, time; os.close(1); os.close(2); time.sleep(0.2); os._exit(3)"

    with pytest.raises(CommandFailed, match="3"):
        environment(program).run(RunCommand, command="it")


def test_long_output_is_truncated_and_long_lines_are_split() -> None:
    env = environment("print('x' * 1_000_000); print('end')")

    result = env.run(RunCommand, command="it")

    assert len(result["output"]) <= MAX_TAIL_BYTES + 2
    assert result["output"].endswith("x\nend\n")
    messages = [line.message for line in env.log_lines]
    assert max(map(len, messages)) == MAX_LINE_BYTES
    assert "".join(messages) == "x" * 1_000_000 + "end"


def test_invalid_utf8_is_replaced() -> None:
    result = environment(r"import sys; sys.stdout.buffer.write(b'a\xffb\n')").run(RunCommand, command="it")

    assert result["output"] == "a\N{REPLACEMENT CHARACTER}b\n"


@pytest.mark.parametrize(
    "parameters",
    [{"command": ""}, {"command": "it", "arguments": ["a\0b"]}, {"command": "it", "arguments": "ls"}, {}],
)
def test_invalid_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        parse_parameters(RunCommand, **parameters)
