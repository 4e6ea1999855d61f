"""What happens to due times: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcore.domain.schedules import CatchUp, DueTimes, FirePlan, FirePolicy, Overlap, jittered_run_at, plan_fires

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ago(*minutes: float) -> tuple[datetime, ...]:
    return tuple(NOW - one * MINUTE for one in minutes)


def planned(
    due: Sequence[datetime],
    policy: FirePolicy,
    waiting: Sequence[datetime] = (),
    earlier: int = 0,
    is_busy: bool = False,
) -> FirePlan:
    return plan_fires(DueTimes(tuple(due), earlier), waiting, NOW, policy, has_active_task=is_busy)


def allow(catch_up: CatchUp, limit: int = 100) -> FirePolicy:
    return FirePolicy(Overlap.ALLOW, catch_up, limit)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_times_that_are_not_late_fire_whatever_the_policy(catch_up: CatchUp) -> None:
    assert planned(ago(0.9, 0.5, 0), allow(catch_up)) == FirePlan(fires=ago(0.9, 0.5, 0))


def test_after_an_outage_none_the_last_or_all_late_times_fire() -> None:
    due = ago(150, 90, 30, 0)

    assert planned(due, allow(CatchUp.NONE)) == FirePlan(fires=ago(0), missed=3)
    assert planned(due, allow(CatchUp.LAST)) == FirePlan(fires=ago(0), missed=3)
    assert planned(due, allow(CatchUp.ALL)) == FirePlan(fires=due)
    assert planned(due[:3], allow(CatchUp.NONE)) == FirePlan(missed=3)
    assert planned(due[:3], allow(CatchUp.LAST)) == FirePlan(fires=ago(30), missed=2)


def test_catch_up_stops_at_the_limit_and_counts_the_rest() -> None:
    assert planned(ago(5, 4, 3, 2), allow(CatchUp.ALL, 3), earlier=7) == FirePlan(fires=ago(4, 3, 2), missed=8)


def test_skip_fires_only_the_first_time_and_only_without_an_active_task() -> None:
    policy = FirePolicy(Overlap.SKIP, CatchUp.ALL)

    assert planned(ago(2, 1, 0), policy) == FirePlan(fires=ago(2), skips=ago(1, 0))
    assert planned(ago(2, 1, 0), policy, is_busy=True) == FirePlan(skips=ago(2, 1, 0))


def test_queue_fires_one_time_and_the_others_wait() -> None:
    policy = FirePolicy(Overlap.QUEUE, CatchUp.NONE)

    assert planned(ago(0.5, 0), policy) == FirePlan(fires=ago(0.5), waits=ago(0))
    assert planned(ago(0), policy, ago(90, 30), is_busy=True) == FirePlan(waits=ago(90, 30, 0))
    assert planned((), policy, ago(90, 30)) == FirePlan(fires=ago(90), waits=ago(30))


def test_when_too_many_times_wait_the_oldest_are_missed() -> None:
    policy = FirePolicy(Overlap.QUEUE, CatchUp.ALL, limit=2)

    assert planned(ago(0), policy, ago(9, 8), is_busy=True) == FirePlan(waits=ago(8, 0), dropped=ago(9), missed=1)


@settings(deadline=None)
@given(
    due=st.lists(st.integers(0, 300), unique=True),
    waiting=st.lists(st.integers(301, 400), unique=True, max_size=5),
    earlier=st.integers(0, 5),
    overlap=st.sampled_from(Overlap),
    catch_up=st.sampled_from(CatchUp),
    limit=st.integers(1, 20),
    is_busy=st.booleans(),
)
def test_each_time_gets_exactly_one_decision(
    due: list[int],
    waiting: list[int],
    earlier: int,
    overlap: Overlap,
    catch_up: CatchUp,
    limit: int,
    is_busy: bool,
) -> None:
    times = ago(*sorted(due, reverse=True))
    waited = ago(*sorted(waiting, reverse=True))

    plan = planned(times, FirePolicy(overlap, catch_up, limit), waited, earlier if due else 0, is_busy)

    kept = [*plan.fires, *plan.skips, *plan.waits]
    assert kept == sorted(set(kept))
    assert set(kept) <= {*times, *waited}
    assert len(kept) + plan.missed == len(times) + len(waited) + (earlier if due else 0)
    assert set(plan.dropped) == set(waited) - set(kept)
    if is_busy and overlap is not Overlap.ALLOW:
        assert not plan.fires


@settings(deadline=None)
@given(jitter_s=st.floats(0.001, 1e5), schedule_id=st.integers(1), at=st.datetimes(timezones=st.just(UTC)))
def test_jitter_is_stable_and_within_its_limit(jitter_s: float, schedule_id: int, at: datetime) -> None:
    run_at = jittered_run_at(schedule_id, at.replace(year=2026, day=1), jitter_s)

    assert run_at == jittered_run_at(schedule_id, at.replace(year=2026, day=1), jitter_s)
    assert run_at is not None
    assert timedelta(0) <= run_at - at.replace(year=2026, day=1) <= timedelta(seconds=jitter_s)


def test_jitter_spreads_times_and_zero_jitter_does_not_delay() -> None:
    offsets = {run_at - at for at in ago(*range(50)) if (run_at := jittered_run_at(1, at, 3_600)) is not None}

    assert len(offsets) == 50
    assert jittered_run_at(1, NOW, 0.0) is None
