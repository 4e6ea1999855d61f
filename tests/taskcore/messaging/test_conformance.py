"""What a serving process promises, whatever the broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg

from taskcore.db.queues import queues
from taskcore.messaging.messages import encode
from tests.messaging.worker_harness import Quick, WorkerHarness
from tests.taskcore.db.db_harness import new_task


async def test_every_task_that_is_sent_runs_once(house: WorkerHarness) -> None:
    house.serve()

    await house.submit(200)

    await house.until(lambda: house.count("succeeded") == 200)
    assert house.stage.sql("SELECT count(*), max(attempt) FROM task_attempt")[0] == (200, 1)


async def test_the_same_message_a_hundred_times_runs_once(house: WorkerHarness) -> None:
    (task_id,) = house.stage.submit(new_task())
    await house.send([task_id] * 100)

    house.serve(prefetch_short=8)

    await house.until(lambda: house.count("succeeded") == 1)
    marker = await house.submit()
    await house.until(lambda: house.stage.status(marker[0]) == "succeeded")
    assert house.stage.history(task_id) == ["queued", "running", "succeeded"]


async def test_a_message_that_comes_too_early_starts_nothing(house: WorkerHarness) -> None:
    (early,) = await house.submit(run_at=datetime.now(UTC) + timedelta(hours=1))

    house.serve()

    (marker,) = await house.submit()
    await house.until(lambda: house.stage.status(marker) == "succeeded")
    assert house.stage.status(early) == "scheduled"


async def test_a_message_that_is_not_ours_is_dropped(house: WorkerHarness) -> None:
    await house.submit()
    for body in (b"", b"rubbish", b'{"args": ["one"]}', encode("default", 987_654)):
        house.put_raw("default", body)

    house.serve()

    (marker,) = await house.submit()
    await house.until(lambda: house.stage.status(marker) == "succeeded")
    await house.until(lambda: house.count("succeeded") == 2)


async def test_no_more_is_held_than_there_are_slots(house: WorkerHarness) -> None:
    house.serve(threads=3, prefetch_short=5)

    await house.submit(12, type="gated")  # fewer runs than make a type known as short

    await house.until(lambda: house.count("running") == 3)
    house.gate.set()
    await house.until(lambda: house.count("succeeded") == 12)
    overlapping = (
        "SELECT max(held) FROM (SELECT sum(step) OVER (ORDER BY id) AS held FROM ("
        "SELECT id, CASE to_status WHEN 'running' THEN 1 ELSE -1 END AS step FROM task_history "
        "WHERE attempt > 0) AS steps) AS levels"
    )
    assert house.stage.sql(overlapping)[0][0] <= 3


async def test_messages_that_wait_behind_long_tasks_go_to_whoever_is_free(house: WorkerHarness) -> None:
    house.serve(worker=1, threads=2)
    await house.submit(2, type="gated")
    await house.until(lambda: house.count("running") == 2)
    waiting = await house.submit(2)  # delivered to the busy one, who has no slot

    house.serve(worker=2, threads=2)

    await house.until(lambda: house.count("succeeded") == 2)
    assert all(house.stage.status(task_id) == "succeeded" for task_id in waiting)
    assert house.count("running") == 2


async def test_a_busy_service_goes_on_once_a_slot_is_free(house: WorkerHarness) -> None:
    house.serve(threads=1)
    await house.submit(type="gated")
    await house.until(lambda: house.count("running") == 1)
    await house.submit(5)

    house.gate.set()

    await house.until(lambda: house.count("succeeded") == 6)


async def test_queues_can_be_added_while_it_serves(house: WorkerHarness) -> None:
    service = house.serve("first")
    await house.submit(queue="second")

    service.consume(["second"])

    await house.until(lambda: house.count("succeeded") == 1)


async def test_a_queue_that_it_was_not_told_to_serve_is_left_alone(house: WorkerHarness) -> None:
    service = house.serve("other")
    (left,) = await house.submit()

    await house.submit(queue="other")
    await house.until(lambda: house.count("succeeded") == 1)
    await house.stop(service)

    assert house.stage.history(left) == ["queued"]
    assert await house.publisher.ready_count("default") == 1


async def test_a_type_it_lacks_is_put_off_without_an_attempt(house: WorkerHarness) -> None:
    house.serve(plugins=(Quick,))

    (task_id,) = await house.submit(type="gated")

    def is_put_off() -> bool:
        ((is_due,),) = house.stage.sql("SELECT is_due FROM outbox WHERE task_id = :id", id=task_id)
        return not is_due

    await house.until(is_put_off)
    assert house.stage.history(task_id) == ["queued"]


async def test_stopping_lets_what_runs_end_and_gives_back_the_rest(house: WorkerHarness) -> None:
    service = house.serve(threads=2)
    running = await house.submit(2, type="gated")
    await house.until(lambda: house.count("running") == 2)
    waiting = await house.submit(3)

    house.gate.set()
    await house.stop(service)

    assert [house.stage.status(task_id) for task_id in running] == ["succeeded"] * 2
    assert house.count("running") == 0
    assert {house.stage.status(task_id) for task_id in waiting} <= {"queued", "succeeded"}


async def test_each_thread_that_stopped_took_its_time_from_the_grace_of_those_at_work(house: WorkerHarness) -> None:
    service = house.serve(threads=16)
    await house.submit(15, type="taking", parameters={"seconds": 1})
    (longest,) = await house.submit(type="taking", parameters={"seconds": 4})
    await house.until(lambda: house.count("running") + house.count("succeeded") == 16)

    await house.stop(service, grace_s=12)

    assert house.count("succeeded") == 16
    assert house.stage.history(longest) == ["queued", "running", "succeeded"]


async def test_what_cannot_end_in_its_grace_is_given_back_and_costs_nothing(house: WorkerHarness) -> None:
    service = house.serve(threads=1)
    (task_id,) = await house.submit(type="gated")
    await house.until(lambda: house.count("running") == 1)

    await house.stop(service, grace_s=0.2)

    (task,) = house.stage.sql("SELECT status, failures, worker_losses FROM task WHERE id = :id", id=task_id)
    assert tuple(task) == ("queued", 0, 0)


async def test_what_waits_is_interrupted_at_the_end_of_the_grace(house: WorkerHarness) -> None:
    service = house.serve(threads=2)
    task_ids = await house.submit(2, type="waiting")
    await house.until(lambda: house.count("running") == 2)

    await house.stop(service, grace_s=0.2)

    attempts = house.stage.sql("SELECT task_id, outcome FROM task_attempt ORDER BY task_id")
    assert [tuple(row) for row in attempts] == [(task_id, "released") for task_id in task_ids]
    assert house.count("queued") == 2


async def test_the_publisher_knows_how_many_messages_wait(house: WorkerHarness) -> None:
    await house.submit(7)

    assert await house.publisher.ready_count("default") == 7
    assert await house.publisher.ready_count("empty") == 0


async def test_messages_of_a_paused_queue_start_nothing_and_are_sent_again_once_it_is_resumed(
    house: WorkerHarness,
) -> None:
    task_ids = house.stage.submit(new_task(), new_task(), new_task(queue="other"))
    assert house.stage.dispatch(2) == task_ids[:2]
    house.stage.run(queues.pause_queue(), of="default", why=None, by="me")

    await house.send(task_ids[:2])
    await house.send(task_ids[2:], "other")
    house.serve("default", "other")

    await house.until(lambda: house.count("succeeded") == 1)
    unsent = "SELECT count(*) FROM outbox WHERE dispatched_at IS NULL"
    await house.until(lambda: house.stage.sql(unsent)[0][0] == 2)
    assert house.count("queued") == 2
    house.stage.run(queues.resume_queue(), of="default")
    await house.send(house.stage.dispatch(5))
    await house.until(lambda: house.count("succeeded") == 3)


async def test_the_end_of_what_others_wait_for_is_told(house: WorkerHarness) -> None:
    parent, other = house.stage.submit(new_task(), new_task())
    house.stage.submit_with_parents(parent)
    await house.send([other])
    url = house.stage.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as listening:
        listening.execute("LISTEN taskcore_dependents")
        house.serve()
        await house.until(lambda: house.stage.status(other) == "succeeded")

        await house.send([parent])

        heard = await asyncio.to_thread(lambda: list(listening.notifies(timeout=60, stop_after=1)))
    assert [one.channel for one in heard] == ["taskcore_dependents"]
    assert house.stage.status(parent) == "succeeded"
