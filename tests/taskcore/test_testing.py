"""`taskcore.testing`: one attempt of a plugin with what it logs, reports, saves and submits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import msgspec
import pytest

from taskcore.errors import InvalidDocument, InvalidTask
from taskcore.plugins import Fail, InterruptCause, Interrupted, Parameters, Pause, Plugin, TaskContext
from taskcore.testing import AttemptEnvironment, LogLine, parse_parameters


class CopyParameters(Parameters, frozen=True):
    pages: Annotated[int, msgspec.Meta(ge=0)] = 2


class Copy(Plugin[CopyParameters]):
    """Copies pages, one checkpoint each."""

    name = "copy"
    can_pause = True

    def run(self, ctx: TaskContext, params: CopyParameters) -> object:
        for page in range(ctx.checkpoint or 0, params.pages):
            ctx.log.bind(task=ctx.task_id).info("copying", page=page)
            ctx.submit("copy_page", {"page": page}, priority=5)
            ctx.save_checkpoint(page + 1)
            ctx.progress((page + 1) / params.pages)
            if ctx.is_pause_requested:
                return Pause()
        return {"pages": params.pages, "range": (1, 2)}


class WaitForever(Plugin[CopyParameters]):
    """Calls the class attribute once it waits."""

    name = "wait_forever"
    on_start: Callable[[], object]

    def run(self, ctx: TaskContext, params: CopyParameters) -> object:
        self.on_start()
        ctx.wait(600)
        return None


class Return(Plugin[CopyParameters]):
    """Returns the object of the class attribute."""

    name = "return"
    value: object = None

    def run(self, ctx: TaskContext, params: CopyParameters) -> object:
        return self.value


def test_result_is_read_back_from_json() -> None:
    assert AttemptEnvironment().run(Copy, pages=1) == {"pages": 1, "range": [1, 2]}


def test_log_lines_progress_checkpoints_and_submitted_tasks_are_recorded() -> None:
    env = AttemptEnvironment(task_id=9)

    env.run(Copy)

    assert env.log_lines == [LogLine("info", "copying", {"task": 9, "page": page}) for page in (0, 1)]
    assert env.progress == [0.5, 1.0]
    assert env.checkpoints == [1, 2]
    assert [task["parameters"] for task in env.submitted] == [{"page": 0}, {"page": 1}]
    assert env.submitted[0] == {"name": "copy_page", "type": "copy_page", "parameters": {"page": 0}, "priority": 5}


def test_attempt_continues_from_the_given_checkpoint() -> None:
    env = AttemptEnvironment(checkpoint=1)

    env.run(Copy)

    assert env.checkpoints == [2]


def test_requested_pause_is_seen() -> None:
    env = AttemptEnvironment()
    env.request_pause()

    assert env.run(Copy) == Pause()
    assert env.checkpoints == [1]


def test_invalid_parameters_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="pages"):
        AttemptEnvironment().run(Copy, pages=-1)
    with pytest.raises(msgspec.ValidationError, match="unknown"):
        parse_parameters(Copy, unknown=1)


@pytest.mark.parametrize("value", [object(), {"text": "x" * 2**20}])
def test_result_that_is_not_json_or_too_large_is_refused(value: object) -> None:
    class Bad(Return):
        pass

    Bad.value = value

    with pytest.raises(InvalidDocument):
        AttemptEnvironment().run(Bad)


def test_outcome_is_returned() -> None:
    class Failing(Return):
        value = Fail("no pages")

    assert AttemptEnvironment().run(Failing) == Fail("no pages")


def test_invalid_submission_is_refused() -> None:
    ctx = AttemptEnvironment().context

    with pytest.raises(InvalidTask, match="priority"):
        ctx.submit("copy_page", priority=1_000)
    assert ctx.submit("copy_page") == 1


def test_given_idempotency_key_is_recorded() -> None:
    env = AttemptEnvironment()

    env.context.submit("copy_page", idempotency_key="9/1")

    assert env.submitted[0]["idempotency_key"] == "9/1"


def test_other_tasks_are_those_that_the_test_gives() -> None:
    ctx = AttemptEnvironment(tasks={3: {"status": "succeeded"}}).context

    assert ctx.get(3) == {"status": "succeeded"}
    assert ctx.get(4) is None


def test_interrupt_from_another_thread_ends_the_attempt() -> None:
    env = AttemptEnvironment()

    class Interruptible(WaitForever):
        on_start = threading.Thread(target=env.interrupt, args=[InterruptCause.TIMEOUT]).start

    with pytest.raises(Interrupted) as interrupted:
        env.run(Interruptible)

    assert interrupted.value.cause is InterruptCause.TIMEOUT


def test_interrupt_before_the_start_ends_the_attempt_at_once() -> None:
    env = AttemptEnvironment()
    env.interrupt()

    with pytest.raises(Interrupted):
        env.run(Copy)

    assert env.log_lines == []


def test_timeout_sets_the_remaining_time() -> None:
    env = AttemptEnvironment(timeout=timedelta(minutes=5))

    env.run(Return)

    remaining_s = env.context.remaining_s
    assert remaining_s is not None
    assert 0 < remaining_s <= 300
