"""What a running attempt reports: stored only while it is held, and never twice."""

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


def report(task_id: int, token: UUID, document: Any, attempt: int = 1) -> dict[str, Any]:
    return {"task_id": task_id, "attempt": attempt, "token": str(token), "document": document}


def test_lines_of_several_attempts_are_appended_with_the_databases_time(db: DatabaseHarness) -> None:
    token = uuid4()
    first, second = db.submit(new_task(), new_task())
    db.claim([first, second], token=token)

    db.run(
        attempt_reports.append_log_lines(),
        rows=rows(
            line(first, token, 1, ago_s=60, fields={"n": 1}),
            line(first, token, 2, level="error"),
            line(second, token, 1),
        ),
    )

    lines = db.sql("SELECT *, at < now() - interval '59 seconds' AS is_old FROM task_log ORDER BY task_id, line")
    assert [(row.task_id, row.attempt, row.line, row.level, row.fields, row.is_old) for row in lines] == [
        (first, 1, 1, "info", {"n": 1}, True),
        (first, 1, 2, "error", None, False),
        (second, 1, 1, "info", None, False),
    ]


def test_a_repeated_line_is_stored_once(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    for message in ("report", "repeated"):
        db.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, token, 1, message=message)))

    assert [row.message for row in db.sql("SELECT message FROM task_log")] == ["report"]


def test_reports_of_an_attempt_that_is_not_held_are_ignored(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    for lease in ((uuid4(), 1), (token, 2)):
        db.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, lease[0], 1, attempt=lease[1])))
        db.run(attempt_reports.set_progress(), rows=rows(report(task_id, lease[0], 1, lease[1])))
        assert db.run(attempt_reports.save_checkpoint(), rows=rows(report(task_id, lease[0], 1, lease[1]))) == []
    db.settle(task_id, 1, token)
    db.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, token, 1)))
    db.run(attempt_reports.set_progress(), rows=rows(report(task_id, token, 1)))

    assert not db.sql("SELECT 1 FROM task_log")
    (task,) = db.sql("SELECT progress, checkpoint FROM task")
    assert tuple(task) == (None, None)


def test_a_cancelling_task_can_still_report(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)
    db.sql("UPDATE task SET status = 'cancelling'")

    db.run(attempt_reports.append_log_lines(), rows=rows(line(task_id, token, 1)))

    assert len(db.sql("SELECT 1 FROM task_log")) == 1


def test_progress_of_many_tasks_is_stored_in_one_statement(db: DatabaseHarness) -> None:
    token = uuid4()
    ids = db.submit(*[new_task() for _ in range(3)])
    db.claim(ids, token=token)

    reports = [report(one, token, {"percent": n}) for n, one in enumerate(ids)]
    db.run(attempt_reports.set_progress(), rows=rows(*reports))
    db.run(attempt_reports.set_progress(), rows=rows(report(ids[0], token, [1, None]), report(ids[1], token, None)))

    kept = [row.progress for row in db.sql("SELECT progress FROM task ORDER BY id")]
    assert kept == [[1, None], None, {"percent": 2}]


def test_the_next_attempt_gets_the_checkpoint(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    kept = db.run(attempt_reports.save_checkpoint(), rows=rows(report(task_id, token, {"page": 7})))

    assert [row.id for row in kept] == [task_id]
    db.settle_as_lost(db.sql("SELECT * FROM task"), by="worker:1")
    assert [row.checkpoint for row in db.claim([task_id])] == [{"page": 7}]


def test_asynchronous_commit_ends_with_the_statement(db: DatabaseHarness) -> None:
    token = uuid4()
    (task_id,) = db.submit(new_task())
    db.claim([task_id], token=token)

    with db.engine.connect() as connection:
        connection.exec_driver_sql("SET synchronous_commit = 'local'")
        ((during,),) = connection.execute(
            attempt_reports.set_progress(), {"rows": rows(report(task_id, token, 1))}
        ).all()
        after = connection.exec_driver_sql("SHOW synchronous_commit").scalar()

    assert (during, after) == ("off", "local")


def test_attempts_and_logs_are_deleted_with_their_task(db: DatabaseHarness) -> None:
    token = uuid4()
    gone, kept = db.submit(new_task(), new_task())
    db.claim([gone, kept], token=token)
    for one in (gone, kept):
        db.run(attempt_reports.append_log_lines(), rows=rows(line(one, token, 1)))
        db.settle(one, 1, token)

    db.run(actions.delete_task(), task=gone, by="me")

    assert [row.task_id for row in db.sql("SELECT task_id FROM task_log")] == [kept]
    assert [row.task_id for row in db.sql("SELECT task_id FROM task_attempt")] == [kept]
    assert db.history(gone)[-1] is None
