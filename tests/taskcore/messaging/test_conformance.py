"""What a consumer service promises, with every kind of broker."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import psycopg

from taskcore.db.queues import queues
from taskcore.messaging.messages import encode
from tests.taskcore.db.db_harness import new_task
from tests.taskcore.messaging.worker_harness import Quick, WorkerHarness


async def test_every_sent_task_runs_once(harness: WorkerHarness) -> None:
    harness.start_service()

    await harness.submit(200)

    await harness.until(lambda: harness.count("succeeded") == 200)
    assert harness.database.sql("SELECT count(*), max(attempt) FROM task_attempt")[0] == (200, 1)


async def test_the_same_message_a_hundred_times_runs_once(harness: WorkerHarness) -> None:
    (task_id,) = harness.database.submit(new_task())
    await harness.send([task_id] * 100)

    harness.start_service(prefetch_short=8)

    await harness.until(lambda: harness.count("succeeded") == 1)
    marker = await harness.submit()
    await harness.until(lambda: harness.database.status(marker[0]) == "succeeded")
    assert harness.database.history(task_id) == ["queued", "running", "succeeded"]


async def test_a_message_that_comes_too_early_starts_no_task(harness: WorkerHarness) -> None:
    (early,) = await harness.submit(run_at=datetime.now(UTC) + timedelta(hours=1))

    harness.start_service()

    (marker,) = await harness.submit()
    await harness.until(lambda: harness.database.status(marker) == "succeeded")
    assert harness.database.status(early) == "scheduled"


async def test_a_foreign_message_is_dropped(harness: WorkerHarness) -> None:
    await harness.submit()
    for body in (b"", b"rubbish", b'{"args": ["one"]}', encode("default", 987_654)):
        harness.put_raw("default", body)

    harness.start_service()

    (marker,) = await harness.submit()
    await harness.until(lambda: harness.database.status(marker) == "succeeded")
    await harness.until(lambda: harness.count("succeeded") == 2)


async def test_no_more_tasks_are_held_than_there_are_slots(harness: WorkerHarness) -> None:
    harness.start_service(threads=3, prefetch_short=5)

    await harness.submit(12, type="gated")  # fewer runs than make a type known as short

    await harness.until(lambda: harness.count("running") == 3)
    harness.gate.set()
    await harness.until(lambda: harness.count("succeeded") == 12)
    overlapping = (
        "SELECT max(held) FROM (SELECT sum(step) OVER (ORDER BY id) AS held FROM ("
        "SELECT id, CASE to_status WHEN 'running' THEN 1 ELSE -1 END AS step FROM task_history "
        "WHERE attempt > 0) AS steps) AS levels"
    )
    assert harness.database.sql(overlapping)[0][0] <= 3


async def test_messages_that_wait_behind_long_tasks_go_to_an_idle_service(harness: WorkerHarness) -> None:
    harness.start_service(worker=1, threads=2)
    await harness.submit(2, type="gated")
    await harness.until(lambda: harness.count("running") == 2)
    waiting = await harness.submit(2)  # delivered to the busy service, which has no slot

    harness.start_service(worker=2, threads=2)

    await harness.until(lambda: harness.count("succeeded") == 2)
    assert all(harness.database.status(task_id) == "succeeded" for task_id in waiting)
    assert harness.count("running") == 2


async def test_a_busy_service_continues_once_a_slot_is_free(harness: WorkerHarness) -> None:
    harness.start_service(threads=1)
    await harness.submit(type="gated")
    await harness.until(lambda: harness.count("running") == 1)
    await harness.submit(5)

    harness.gate.set()

    await harness.until(lambda: harness.count("succeeded") == 6)


async def test_queues_can_be_added_to_a_running_service(harness: WorkerHarness) -> None:
    service = harness.start_service("first")
    await harness.submit(queue="second")

    service.consume(["first", "second"])

    await harness.until(lambda: harness.count("succeeded") == 1)


async def test_many_queues_need_no_more_threads_than_one(harness: WorkerHarness) -> None:
    service = harness.start_service("first")
    await harness.submit(queue="first")
    await harness.until(lambda: harness.count("succeeded") == 1)
    threads = threading.active_count()
    names = [f"queue-{number}" for number in range(40)]

    for name in names:
        await harness.submit(queue=name)
    service.consume(["first", *names])

    await harness.until(lambda: harness.count("succeeded") == 41)
    assert threading.active_count() <= threads


async def test_queue_that_is_not_consumed_any_more_keeps_its_messages(harness: WorkerHarness) -> None:
    service = harness.start_service("first", "second")
    await harness.submit(queue="second")
    await harness.until(lambda: harness.count("succeeded") == 1)

    service.consume(["first"])
    await harness.submit(queue="first")
    await harness.until(lambda: harness.count("succeeded") == 2)
    await harness.submit(queue="second")
    await harness.submit(queue="first")

    await harness.until(lambda: harness.count("succeeded") == 3)
    assert await harness.publisher.ready_count("second") == 1


async def test_other_queues_are_not_consumed(harness: WorkerHarness) -> None:
    service = harness.start_service("other")
    (left,) = await harness.submit()

    await harness.submit(queue="other")
    await harness.until(lambda: harness.count("succeeded") == 1)
    await harness.stop(service)

    assert harness.database.history(left) == ["queued"]
    assert await harness.publisher.ready_count("default") == 1


async def test_a_task_of_an_unknown_type_is_postponed_without_an_attempt(harness: WorkerHarness) -> None:
    harness.start_service(plugins=(Quick,))

    (task_id,) = await harness.submit(type="gated")

    def is_postponed() -> bool:
        ((is_due,),) = harness.database.sql("SELECT is_due FROM outbox WHERE task_id = :id", id=task_id)
        return not is_due

    await harness.until(is_postponed)
    assert harness.database.history(task_id) == ["queued"]


async def test_stopping_lets_running_tasks_finish_and_releases_the_rest(harness: WorkerHarness) -> None:
    service = harness.start_service(threads=2)
    running = await harness.submit(2, type="gated")
    await harness.until(lambda: harness.count("running") == 2)
    waiting = await harness.submit(3)

    harness.gate.set()
    await harness.stop(service)

    assert [harness.database.status(task_id) for task_id in running] == ["succeeded"] * 2
    assert harness.count("running") == 0
    assert {harness.database.status(task_id) for task_id in waiting} <= {"queued", "succeeded"}


async def test_threads_that_stop_early_do_not_shorten_the_grace_of_the_others(harness: WorkerHarness) -> None:
    service = harness.start_service(threads=16)
    await harness.submit(15, type="sleeping", parameters={"seconds": 0.2})
    (longest,) = await harness.submit(type="sleeping", parameters={"seconds": 1.5})
    await harness.until(lambda: harness.count("running") + harness.count("succeeded") == 16)

    await harness.stop(service, grace_s=12)

    assert harness.count("succeeded") == 16
    assert harness.database.history(longest) == ["queued", "running", "succeeded"]


async def test_a_task_that_outlasts_the_grace_is_released_and_not_charged(harness: WorkerHarness) -> None:
    service = harness.start_service(threads=1)
    (task_id,) = await harness.submit(type="gated")
    await harness.until(lambda: harness.count("running") == 1)

    await harness.stop(service, grace_s=0.2)

    (task,) = harness.database.sql("SELECT status, failures, worker_losses FROM task WHERE id = :id", id=task_id)
    assert tuple(task) == ("queued", 0, 0)


async def test_waiting_tasks_are_interrupted_at_the_end_of_the_grace(harness: WorkerHarness) -> None:
    service = harness.start_service(threads=2)
    task_ids = await harness.submit(2, type="waiting")
    await harness.until(lambda: harness.count("running") == 2)

    await harness.stop(service, grace_s=0.2)

    attempts = harness.database.sql("SELECT task_id, outcome FROM task_attempt ORDER BY task_id")
    assert [tuple(row) for row in attempts] == [(task_id, "released") for task_id in task_ids]
    assert harness.count("queued") == 2


async def test_the_publisher_counts_ready_messages(harness: WorkerHarness) -> None:
    await harness.submit(7)

    assert await harness.publisher.ready_count("default") == 7
    assert await harness.publisher.ready_count("empty") == 0


async def test_messages_of_a_paused_queue_start_no_task_and_are_sent_again_after_a_resume(
    harness: WorkerHarness,
) -> None:
    task_ids = harness.database.submit(new_task(), new_task(), new_task(queue="other"))
    assert harness.database.dispatch(2) == task_ids[:2]
    harness.database.run(queues.pause_queue(), of="default", why=None, by="me")

    await harness.send(task_ids[:2])
    await harness.send(task_ids[2:], "other")
    harness.start_service("default", "other")

    await harness.until(lambda: harness.count("succeeded") == 1)
    unsent = "SELECT count(*) FROM outbox WHERE dispatched_at IS NULL"
    await harness.until(lambda: harness.database.sql(unsent)[0][0] == 2)
    assert harness.count("queued") == 2
    harness.database.run(queues.resume_queue(), of="default")
    await harness.send(harness.database.dispatch(5))
    await harness.until(lambda: harness.count("succeeded") == 3)


async def test_the_end_of_a_task_that_others_depend_on_is_notified(harness: WorkerHarness, database_url: str) -> None:
    parent, other = harness.database.submit(new_task(), new_task())
    harness.database.submit_with_parents(parent)
    await harness.send([other])
    with psycopg.connect(database_url, autocommit=True) as listening:
        listening.execute("LISTEN taskcore_dependents")
        harness.start_service()
        await harness.until(lambda: harness.database.status(other) == "succeeded")

        await harness.send([parent])

        heard = await asyncio.to_thread(lambda: list(listening.notifies(timeout=60, stop_after=1)))
    assert [one.channel for one in heard] == ["taskcore_dependents"]
    assert harness.database.status(parent) == "succeeded"
