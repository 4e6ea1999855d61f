"""What a running attempt tells: only while it is held, and never twice."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import msgspec

from taskcore.db.tasks import actions, attempt_reports
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


def rows(*members: dict[str, Any]) -> str:
    return msgspec.json.encode(members).decode()


def line(task_id: int, token: UUID, number: int, **members: Any) -> dict[str, Any]:
    given = {"attempt": 1, "ago_s": 0.0, "level": "info", "message": f"line {number}", "fields": None}
    return {**given, "task_id": task_id, "token": str(token), "line": number, **members}


def told(task_id: int, token: UUID, document: Any, attempt: int = 1) -> dict[str, Any]:
    return {"task_id": task_id, "attempt": attempt, "token": str(token), "document": document}


def test_lines_of_several_attempts_are_appended_with_the_databases_time(stage: DatabaseHarness) -> None:
    token = uuid4()
    first, second = stage.submit(new_task(), new_task())
    stage.claim([first, second], token=token)

    stage.run(
        attempt_reports.append_log_lines(),
        rows=rows(
            line(first, token, 1, ago_s=60, fields={"n": 1}),
            line(first, token, 2, level="error"),
            line(second, token, 1),
        ),
    )

    lines = stage.sql("SELECT *, at < now() - interval '59 seconds' AS is_old FROM task_log ORDER BY task_id, line")
    assert [(row.task_id, row.attempt, row.line, row.level, row.fields, row.is_old) for row in lines] == [
        (first, 1, 1, "info", {"n": 1}, True),
        (first, 1, 2, "error", None, False),
        (second, 1, 1, "info", None, False),
    ]


def test_a_line_that_is_told_again_is_there_once(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    for message in ("told", "repeated"):
        stage.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, token, 1, message=message)))

    assert [row.message for row in stage.sql("SELECT message FROM task_log")] == ["told"]


def test_nothing_is_told_of_an_attempt_that_is_not_held(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    for lease in ((uuid4(), 1), (token, 2)):
        stage.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, lease[0], 1, attempt=lease[1])))
        stage.run(attempt_reports.set_progress(), rows=rows(told(task_id, lease[0], 1, lease[1])))
        assert stage.run(attempt_reports.save_checkpoint(), rows=rows(told(task_id, lease[0], 1, lease[1]))) == []
    stage.settle(task_id, 1, token)
    stage.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, token, 1)))
    stage.run(attempt_reports.set_progress(), rows=rows(told(task_id, token, 1)))

    assert not stage.sql("SELECT 1 FROM task_log")
    (task,) = stage.sql("SELECT progress, checkpoint FROM task")
    assert tuple(task) == (None, None)


def test_a_task_that_is_being_cancelled_may_still_tell(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)
    stage.sql("UPDATE task SET status = 'cancelling'")

    stage.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, token, 1)))

    assert len(stage.sql("SELECT 1 FROM task_log")) == 1


def test_progress_of_many_tasks_is_kept_in_one_statement(stage: DatabaseHarness) -> None:
    token = uuid4()
    ids = stage.submit(*[new_task() for _ in range(3)])
    stage.claim(ids, token=token)

    reports = [told(one, token, {"percent": n}) for n, one in enumerate(ids)]
    stage.run(attempt_reports.set_progress(), rows=rows(*reports))
    stage.run(attempt_reports.set_progress(), rows=rows(told(ids[0], token, [1, None]), told(ids[1], token, None)))

    kept = [row.progress for row in stage.sql("SELECT progress FROM task ORDER BY id")]
    assert kept == [[1, None], None, {"percent": 2}]


def test_a_checkpoint_is_handed_to_the_next_attempt(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    kept = stage.run(attempt_reports.save_checkpoint(), rows=rows(told(task_id, token, {"page": 7})))

    assert [row.id for row in kept] == [task_id]
    stage.settle_as_lost(stage.sql("SELECT * FROM task"), by="worker:1")
    assert [row.checkpoint for row in stage.claim([task_id])] == [{"page": 7}]


def test_asynchronous_commit_ends_with_the_statement(stage: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = stage.submit(new_task())
    stage.claim([task_id], token=token)

    with stage.engine.connect() as connection:
        connection.exec_driver_sql("SET synchronous_commit = 'local'")
        ((during,),) = connection.execute(attempt_reports.set_progress(), {"rows": rows(told(task_id, token, 1))}).all()
        after = connection.exec_driver_sql("SHOW synchronous_commit").scalar()

    assert (during, after) == ("off", "local")


def test_attempts_and_logs_go_with_a_deleted_task(stage: DatabaseHarness) -> None:
    token = uuid4()
    gone, kept = stage.submit(new_task(), new_task())
    stage.claim([gone, kept], token=token)
    for one in (gone, kept):
        stage.run(attempt_reports.append_log_lines(), rows=rows(line(one, token, 1)))
        stage.settle(one, 1, token)

    stage.run(actions.delete_task(), task=gone, by="me")

    assert [row.task_id for row in stage.sql("SELECT task_id FROM task_log")] == [kept]
    assert [row.task_id for row in stage.sql("SELECT task_id FROM task_attempt")] == [kept]
    assert stage.history(gone)[-1] is None
