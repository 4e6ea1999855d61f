"""`run_command`: run one of the commands that the operator allows, in a process that can be killed.

There is no shell, and the command gets only the variables of the worker's environment that name paths and the locale.
Its output goes to the task's log, line by line. An interrupt sends SIGTERM to the command and its children; those that
are left after `worker.kill_after_s` are killed.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from functools import partial
from typing import Annotated

import msgspec

from taskcore.execution.exit_status import describe_exit
from taskcore.execution.isolation.rlimits import set_memory_limit
from taskcore.observability.tracing.client_spans import client_span, set_error
from taskcore.observability.tracing.propagation import traceparent
from taskcore.plugins import Fail, Interrupted, Isolation, Parameters, Plugin, TaskContext
from taskcore.settings import CommandSettings
from taskworker.types.command.output import CommandOutput
from taskworker.types.patterns import END_OF_TEXT

#: Variables that programs need. The others may hold secrets.
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
#: The variable that passes the parent span to a program with OpenTelemetry.
TRACEPARENT = "TRACEPARENT"
MIB = 1024 * 1024

CommandName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Argument = Annotated[str, msgspec.Meta(pattern=rf"^[^\x00]*{END_OF_TEXT}", max_length=4_096)]
Arguments = Annotated[tuple[Argument, ...], msgspec.Meta(max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=65_536)]


class RunCommandParameters(Parameters, frozen=True):
    command: Annotated[CommandName, msgspec.Meta(description="The configured name of the command")]
    arguments: Annotated[Arguments, msgspec.Meta(description="Additional arguments, if the command allows any")] = ()
    stdin: Annotated[Text | None, msgspec.Meta(description="Standard input, if the command allows it")] = None


class CommandFailed(Exception):
    """The command failed. Another attempt may succeed."""


class RunCommand(Plugin[RunCommandParameters]):
    name = "run_command"
    description = "Runs one of the configured commands."
    isolation = Isolation.PROCESS

    def run(self, ctx: TaskContext, params: RunCommandParameters) -> object:
        """Return the exit code, which is 0, and the end of the output."""
        command = ctx.settings.commands.get(params.command)
        if command is None:
            known = ", ".join(sorted(ctx.settings.commands)) or "none"
            return Fail(f"no command is configured as {params.command!r}; configured: {known}", "unknown_command")
        if refusal := find_violation(command, params):
            return Fail(refusal, reason="bad_arguments")
        output = CommandOutput(ctx.log)
        program = os.path.basename(command.argv[0])  # a span has no arguments, which may hold secrets
        with client_span(ctx.tracer, program, {"process.executable.name": program}) as span:
            exit_code = execute(command, params, output, traceparent(span))
            span.set_attribute("process.exit.code", exit_code)
            if exit_code != 0:
                set_error(span, str(exit_code))
        if exit_code != 0:
            raise CommandFailed(f"{params.command} {describe_exit(exit_code)}\n{output.tail}".rstrip())
        return {"exit_code": exit_code, "output": output.tail}


def find_violation(command: CommandSettings, params: RunCommandParameters) -> str | None:
    """Return why the operator does not allow these parameters, or None."""
    if len(params.arguments) > command.max_arguments:
        return f"{params.command} takes up to {command.max_arguments} arguments, not {len(params.arguments)}"
    if params.stdin is not None and not command.stdin:
        return f"{params.command} does not read stdin"
    return None


def execute(command: CommandSettings, params: RunCommandParameters, output: CommandOutput, parent: str | None) -> int:
    """Run the command until it exits. Return its exit code, negative if a signal ended it.

    It continues the trace of the span `parent`, unless the operator sets the variable for that.

    Raises:
        CommandFailed: if it takes longer than the operator allows.
        OSError: if it cannot be started.
    """
    ends_at = math.inf if command.timeout_s is None else time.monotonic() + command.timeout_s
    # It limits the command and each process that it starts.
    limit_memory = None if command.memory_mb is None else partial(set_memory_limit, command.memory_mb * MIB)
    with tempfile.TemporaryFile() as stdin:
        stdin.write((params.stdin or "").encode("utf-8", "replace"))
        stdin.seek(0)
        process = subprocess.Popen(
            [*command.argv, *params.arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=build_environment(command, parent),
            cwd=command.cwd,
            preexec_fn=limit_memory,
        )
    with process:
        try:
            has_exited = output.read_until_exit(process, ends_at)
        except Interrupted:  # the command received SIGTERM too: collect its output until it exits or is killed
            output.read_until_exit(process, math.inf)
            raise
        if not has_exited:
            process.kill()
            raise CommandFailed(f"{params.command} took longer than {command.timeout_s:g} s\n{output.tail}".rstrip())
    return process.returncode


def build_environment(command: CommandSettings, parent: str | None) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    context = {} if parent is None else {TRACEPARENT: parent}
    return {**inherited, **context, **command.env}
