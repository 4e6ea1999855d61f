"""Which claims count as lost on the way to their process."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest

from taskcore.db.workers.leases import HeldAttempt
from taskcore.domain.states import Status
from taskcore.domain.tasks import AttemptKey, Lease
from taskcore.leasing.lost_claims import (
    ARRIVAL_GRACE_S,
    MAX_REPORT_AGE_S,
    NEVER_REPORTED,
    Comparison,
    LostClaimDetector,
    ProcessReport,
    compare,
)

LIMIT_S = ARRIVAL_GRACE_S + MAX_REPORT_AGE_S
NOW = 1_000.0


FIRST, SECOND = (HeldAttempt(Lease(task_id, 1, uuid4()), "noop", Status.RUNNING, executor=7) for task_id in (1, 2))


def report(*attempts: AttemptKey, incarnation: int = 7, age_s: float = 0.0) -> ProcessReport:
    return ProcessReport(incarnation, NOW - age_s, frozenset(attempts))


@pytest.mark.parametrize(
    ("held", "reports", "comparison"),
    [
        pytest.param([FIRST], [report((1, 1))], Comparison([], [], []), id="agree"),
        pytest.param([FIRST, SECOND], [report((1, 1))], Comparison([SECOND], [], []), id="missing"),
        pytest.param([FIRST], [report((1, 2))], Comparison([FIRST], [], [(7, (1, 2))]), id="other-attempt"),
        pytest.param([], [report((3, 1))], Comparison([], [], [(7, (3, 1))]), id="surplus"),
        pytest.param([FIRST], [], Comparison([FIRST], [], []), id="process-is-dead"),
        pytest.param([FIRST], [report((1, 1), incarnation=8)], Comparison([FIRST], [], []), id="held-by-another"),
        pytest.param([FIRST], [report(age_s=MAX_REPORT_AGE_S)], Comparison([], [FIRST], []), id="report-is-old"),
        pytest.param([], [report((3, 1), age_s=MAX_REPORT_AGE_S)], Comparison([], [], []), id="old-surplus"),
        pytest.param([FIRST], [ProcessReport(7, NEVER_REPORTED)], Comparison([], [FIRST], []), id="never-reported"),
    ],
)
def test_attempts_of_the_database_and_the_processes_are_compared(
    held: Sequence[HeldAttempt], reports: Sequence[ProcessReport], comparison: Comparison
) -> None:
    assert compare(held, {report.incarnation: report for report in reports}, NOW) == comparison


def lost_at(
    detector: LostClaimDetector, now: float, *, missing: Sequence[HeldAttempt] = (), unknown: Sequence[HeldAttempt] = ()
) -> list[HeldAttempt]:
    return detector.check(Comparison(missing, unknown), now)


def test_a_claim_that_stays_missing_is_lost() -> None:
    detector = LostClaimDetector()

    assert lost_at(detector, NOW, missing=[FIRST]) == []
    assert lost_at(detector, NOW + LIMIT_S, missing=[FIRST]) == []
    assert lost_at(detector, NOW + LIMIT_S + 0.1, missing=[FIRST]) == [FIRST]


def test_a_claim_that_becomes_visible_late_has_its_time_all_the_same() -> None:
    detector = LostClaimDetector()
    lost_at(detector, NOW, missing=[FIRST])

    assert lost_at(detector, NOW + LIMIT_S + 0.1, missing=[FIRST, SECOND]) == [FIRST]


def test_a_claim_that_arrives_is_forgotten() -> None:
    detector = LostClaimDetector()
    lost_at(detector, NOW, missing=[FIRST])
    lost_at(detector, NOW + 4)

    assert lost_at(detector, NOW + LIMIT_S + 0.1, missing=[FIRST]) == []


def test_time_in_which_the_process_did_not_report_does_not_count() -> None:
    detector = LostClaimDetector()
    lost_at(detector, NOW, missing=[FIRST])
    for elapsed_s in (5, 10, 15):
        assert lost_at(detector, NOW + elapsed_s, unknown=[FIRST]) == []

    assert lost_at(detector, NOW + 16, missing=[FIRST]) == []


def test_a_gap_in_the_reports_does_not_restart_the_wait() -> None:
    detector = LostClaimDetector()
    lost_at(detector, NOW, missing=[FIRST])
    lost_at(detector, NOW + 5, missing=[FIRST])

    assert lost_at(detector, NOW + 10, unknown=[FIRST]) == []
    assert lost_at(detector, NOW + 15, missing=[FIRST]) == [FIRST]
