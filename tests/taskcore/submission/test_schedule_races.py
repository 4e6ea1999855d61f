"""Several coordinators and one database: exactly one task per due time, despite crashes and clock changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.domain.schedules import LATENESS_TOLERANCE, CatchUp
from taskcore.submission.from_schedule import fire_due
from taskworker.coordinator.database import Database
from taskworker.coordinator.scheduler import Scheduler
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.submission.timetable import add_schedule, fired_times, fires, get_schedule

MONDAY = datetime(2026, 3, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
COORDINATORS = 3


@pytest.fixture
async def engines(database_url: str) -> AsyncIterator[list[AsyncEngine]]:
    """Return an engine for each coordinator."""
    engines = [
        async_engine(database_url, name=f"coordinator {n}", pool_size=2, options=KEY_LOOKUP_OPTIONS) for n in range(3)
    ]
    yield engines
    for engine in engines:
        await engine.dispose()


async def test_one_of_several_coordinators_fires_a_due_time(db: DatabaseHarness, engines: list[AsyncEngine]) -> None:
    schedules = [add_schedule(db, MONDAY, str(number)) for number in range(40)]

    async def fire_all(scheduler: Scheduler) -> None:
        while any(len(fired_times(db, one)) < 5 for one in schedules):
            await scheduler.step(MONDAY + 4 * HOUR)

    await asyncio.gather(*(fire_all(Scheduler(Database(engine))) for engine in engines))

    for one in schedules:
        assert fired_times(db, one) == [MONDAY + number * HOUR for number in range(5)]
    assert len(db.sql("SELECT 1 FROM task")) == len(schedules) * 5


async def test_cut_off_coordinator_leaves_nothing_and_another_fires(
    db: DatabaseHarness, engines: list[AsyncEngine]
) -> None:
    one = add_schedule(db, MONDAY)
    cut_off, other = (Scheduler(Database(engine)) for engine in engines[:2])
    async with engines[2].connect() as obstacle:
        await obstacle.execution_options(isolation_level="READ COMMITTED")
        await obstacle.execute(text("LOCK TABLE schedule_fire IN EXCLUSIVE MODE"))
        step = asyncio.create_task(cut_off.step(MONDAY))  # which submits the task before it waits for the lock
        await asyncio.to_thread(db.wait_for_blocked, 1)
        db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'coordinator 0'")
        with pytest.raises(OperationalError):
            await step
        await obstacle.rollback()

    assert (fires(db, one), db.sql("SELECT 1 FROM task")) == ([], [])
    await other.step(MONDAY)
    await cut_off.step(MONDAY)

    assert fired_times(db, one) == [MONDAY]
    assert len(db.sql("SELECT 1 FROM task")) == 1


@dataclass(frozen=True)
class Turn:
    """One coordinator looks for due times, or all do `together`, after the clock moved. If it `fails`, it crashes."""

    coordinator: int
    minutes: float
    together: bool
    fails: bool


TURNS = st.builds(
    Turn,
    coordinator=st.integers(0, COORDINATORS - 1),
    minutes=st.one_of(st.integers(1, 90), st.integers(-240, 900), st.floats(0.01, 2)),
    together=st.booleans(),
    fails=st.integers(0, 4).map(lambda one: one == 0),
)


def predict(moments: list[datetime], catch_up: CatchUp) -> tuple[list[datetime], int]:
    """Return which hours from Monday on fire, and how many are missed, when turns happen at `moments`."""
    fire: list[datetime] = []
    missed = 0
    following = MONDAY
    for now in moments:
        due: list[datetime] = []
        while following <= now:
            due.append(following)
            following += HOUR
        late = [time for time in due if now - time > LATENESS_TOLERANCE]
        kept = due
        if late and catch_up is CatchUp.NONE:
            kept = [time for time in due if time not in late]
        if late and catch_up is CatchUp.LAST:
            kept = due[-1:]
        fire += kept
        missed += len(due) - len(kept)
    return fire, missed


class Week:
    """A database in which weeks pass."""

    def __init__(self, db: DatabaseHarness, runner: asyncio.Runner, engines: list[AsyncEngine]) -> None:
        self._stage = db
        self._runner = runner
        self._engines = engines
        self._schedulers = [Scheduler(Database(engine)) for engine in engines]

    def live(self, turns: list[Turn], catch_up: CatchUp) -> None:
        for table in ("schedule", "task", "outbox", "task_history"):
            self._stage.sql(f"DELETE FROM {table}")
        one = add_schedule(self._stage, MONDAY, catch_up=catch_up)
        clock = MONDAY - HOUR
        moments = []
        for turn in turns:
            clock = min(clock + timedelta(minutes=turn.minutes), MONDAY + timedelta(days=7))
            self._runner.run(self._take_turn(turn, clock, one))
            moments += [] if turn.fails else [clock]
        times, missed = predict(moments, catch_up)
        assert fired_times(self._stage, one) == times
        assert get_schedule(self._stage, one).missed == missed
        tasks = self._stage.sql("SELECT id FROM task ORDER BY id")
        assert sorted(fire.task_id for fire in fires(self._stage, one)) == [row.id for row in tasks]

    async def _take_turn(self, turn: Turn, clock: datetime, schedule_id: int) -> None:
        if turn.fails:
            with suppress(ZeroDivisionError):
                await self._crash(self._engines[turn.coordinator], clock, schedule_id)
        elif turn.together:
            await asyncio.gather(*(scheduler.step(clock) for scheduler in self._schedulers))
        else:
            await self._schedulers[turn.coordinator].step(clock)

    async def _crash(self, engine: AsyncEngine, clock: datetime, schedule_id: int) -> None:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                await fire_due(connection, schedule_id, clock)
                raise ZeroDivisionError


@pytest.fixture
def week(db: DatabaseHarness, database_url: str) -> Iterator[Week]:
    with asyncio.Runner() as runner:
        engines = [
            async_engine(database_url, name="tests", pool_size=2, options=KEY_LOOKUP_OPTIONS)
            for _ in range(COORDINATORS)
        ]
        yield Week(db, runner, engines)
        for engine in engines:
            runner.run(engine.dispose())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(TURNS, min_size=20, max_size=60), catch_up=st.sampled_from(CatchUp))
def test_week_of_hours_fires_as_predicted_despite_crashes_and_clock_changes(
    week: Week, turns: list[Turn], catch_up: CatchUp
) -> None:
    week.live(turns, catch_up)


def test_undisturbed_week_of_hours_fires_169_times(week: Week) -> None:
    turns = [
        Turn(coordinator=number % COORDINATORS, minutes=60, together=False, fails=False) for number in range(7 * 24 + 1)
    ]

    week.live(turns, CatchUp.NONE)
