"""`run_command`: one of the commands that the operator allows, in a process that can be killed.

No shell, none of the worker's environment but where programs and files are. What the command writes goes to the task's
log, line by line. An interrupt is a SIGTERM to the command and to whatever it started; what is left after
`worker.kill_after_s` is killed.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

import msgspec
from opentelemetry.trace import Span

from taskcore.execution.isolation.rlimits import set_memory_limit
from taskcore.observability.tracing.client_spans import ClientSpan, client_span, set_error
from taskcore.observability.tracing.propagation import traceparent
from taskcore.plugins import Fail, Interrupted, Isolation, Parameters, Plugin, TaskContext
from taskcore.settings import CommandSettings
from taskworker.types.command.output import CommandOutput
from taskworker.types.patterns import END_OF_TEXT

#: What programs need to find their way. The rest may hold secrets.
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
#: How OpenTelemetry's programs are told of the span that started them.
TRACEPARENT = "TRACEPARENT"
MIB = 1024 * 1024

CommandName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Argument = Annotated[str, msgspec.Meta(pattern=rf"^[^\x00]*{END_OF_TEXT}", max_length=4_096)]
Arguments = Annotated[tuple[Argument, ...], msgspec.Meta(max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=65_536)]


class RunCommandParameters(Parameters, frozen=True):
    command: Annotated[CommandName, msgspec.Meta(description="The configured name of the command")]
    arguments: Annotated[Arguments, msgspec.Meta(description="More arguments, where the command takes any")] = ()
    stdin: Annotated[Text | None, msgspec.Meta(description="What it reads, where the command reads any")] = None


class CommandFailed(Exception):
    """The command did not end well; another attempt may."""


class RunCommand(Plugin[RunCommandParameters]):
    name = "run_command"
    description = "Runs one of the configured commands."
    isolation = Isolation.PROCESS

    def run(self, ctx: TaskContext, params: RunCommandParameters) -> object:
        """Returns the exit code, which is 0, and the end of the output."""
        command = ctx.settings.commands.get(params.command)
        if command is None:
            known = ", ".join(sorted(ctx.settings.commands)) or "none"
            return Fail(f"no command is configured as {params.command!r}; configured: {known}", "unknown_command")
        if refusal := find_violation(command, params):
            return Fail(refusal, reason="bad_arguments")
        output = CommandOutput(ctx.log)
        with _command_span(ctx, command) as span:
            exit_code = execute(command, params, output, trace_environment(span))
            _record_exit_code(span, exit_code)
        if exit_code != 0:
            raise CommandFailed(f"{params.command} {describe_exit(exit_code)}\n{output.tail}".rstrip())
        return {"exit_code": exit_code, "output": output.tail}


def find_violation(command: CommandSettings, params: RunCommandParameters) -> str | None:
    """What is asked for that the operator does not allow."""
    if len(params.arguments) > command.max_arguments:
        return f"{params.command} takes at most {command.max_arguments} more arguments, not {len(params.arguments)}"
    if params.stdin is not None and not command.stdin:
        return f"{params.command} reads no stdin"
    return None


def execute(
    command: CommandSettings, params: RunCommandParameters, output: CommandOutput, context: Mapping[str, str]
) -> int:
    """Run it to its end. Answers its exit code, negative where a signal ended it.

    `context` is for its environment, unless the operator's own says otherwise.

    Raises:
        CommandFailed: when it took longer than the operator allows.
        OSError: when it cannot be started.
    """
    ends_at = math.inf if command.timeout_s is None else time.monotonic() + command.timeout_s
    with tempfile.TemporaryFile() as stdin:
        stdin.write((params.stdin or "").encode("utf-8", "replace"))
        stdin.seek(0)
        process = subprocess.Popen(
            [*command.argv, *params.arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=build_environment({**context, **command.env}),
            cwd=command.cwd,
            preexec_fn=memory_limiter(command.memory_mb),
        )
    with process:
        try:
            is_over = output.read_until_exit(process, ends_at)
        except Interrupted:  # it got the signal, too, and its last words are heard, as long as it is let
            output.read_until_exit(process, math.inf)
            raise
        if not is_over:
            process.kill()
            raise CommandFailed(f"{params.command} took longer than {command.timeout_s:g} s\n{output.tail}".rstrip())
    return process.returncode


def build_environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return {**kept, **more}


def trace_environment(span: Span) -> dict[str, str]:
    """For the environment of a command: the trace that it may go on with."""
    context = traceparent(span)
    return {} if context is None else {TRACEPARENT: context}


def memory_limiter(memory_mb: int | None) -> Callable[[], None] | None:
    """Bounds the address space of the command, and of each process that it starts."""
    if memory_mb is None:
        return None
    return partial(set_memory_limit, memory_mb * MIB)


def describe_exit(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    known: Sequence[int] = sorted(signal.valid_signals())
    name = signal.Signals(-exit_code).name if -exit_code in known else "unknown"
    return f"was ended by signal {-exit_code} ({name})"


def _command_span(ctx: TaskContext, command: CommandSettings) -> ClientSpan:
    """Of the command line its first word only: arguments may hold secrets."""
    program = os.path.basename(command.argv[0])
    return client_span(ctx.tracer, program, {"process.executable.name": program})


def _record_exit_code(span: Span, exit_code: int) -> None:
    span.set_attribute("process.exit.code", exit_code)
    if exit_code != 0:
        set_error(span, str(exit_code))
