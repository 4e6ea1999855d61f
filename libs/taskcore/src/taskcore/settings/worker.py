"""Settings of `taskworker run` and `taskworker coordinate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from taskcore.settings.field_types import LIVE, QueueName, Seconds, Section


class WorkerSettings(Section):
    """`taskworker run`. A worker runs up to `processes` times `threads` tasks at once."""

    processes: Annotated[int, Field(ge=1, le=256)] = 2
    """Executor processes."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 8
    """Threads in each executor process."""
    prefetch_short: Annotated[int, Field(ge=0, le=1024)] = 64
    """How many short tasks an executor process may claim beyond its threads."""
    queues: tuple[QueueName, ...] = ()
    """Queues to consume; all when empty."""
    task_memory_mb: Annotated[int, Field(ge=0, le=2**40)] | None = None
    """How much private memory, in MiB, each process of a task with processes of its own may use, if neither its type
    nor its command has a limit. 0: any. By default, in a container: its limit less 128 MiB for each executor process
    and for the supervisor, but at least half of it.
    """
    heartbeat_s: Seconds = 5
    """Interval between heartbeats."""
    lease_s: Seconds = 30
    """How long after its last heartbeat a worker is considered dead."""
    grace_s: Seconds = 25
    """How long running tasks may continue after SIGTERM."""
    kill_after_s: Seconds = 5
    """How long a task that was interrupted may take to stop before its process is killed."""


class CoordinatorSettings(Section):
    """`taskworker coordinate`."""

    resend_after_s: Annotated[Annotated[Seconds, Field(ge=1)], LIVE] = 15
    """Age from which an unclaimed message can count as lost, at least 1 s. It doubles with each resend."""
    sweep_every_s: Annotated[Annotated[Seconds, Field(ge=1)], LIVE] = 30
    """Interval between sweeps for tasks that are stuck, at least 1 s."""
    fail_unknown_type_after_s: Annotated[Annotated[Seconds, Field(ge=60)], LIVE] = 86_400
    """How long a task that is due waits for a worker that knows its type before it fails, at least 60 s."""
