"""Which claims count as lost on the way to their process."""

from __future__ import annotations

from collections import namedtuple

from taskcore.leasing.lost_claims import (
    ARRIVAL_GRACE_S,
    MAX_REPORT_AGE_S,
    NEVER_REPORTED,
    LostClaimDetector,
    ProcessReport,
)

LATE_S = ARRIVAL_GRACE_S + MAX_REPORT_AGE_S + 0.1
Row = namedtuple("Row", ["id", "attempt", "executor"])
ROWS = [Row(1, 1, 7), Row(2, 1, 7)]


def report(as_of: float, *attempts: tuple[int, int]) -> dict[int, ProcessReport]:
    return {7: ProcessReport(7, as_of, frozenset(attempts))}


def test_a_claim_that_stays_missing_is_astray() -> None:
    missing = LostClaimDetector()

    assert missing.check(ROWS, report(0, (1, 1)), 0) == []
    assert missing.check(ROWS, report(LATE_S, (1, 1)), LATE_S) == ROWS[1:]


def test_a_claim_that_is_seen_late_is_given_time_all_the_same() -> None:
    missing = LostClaimDetector()
    missing.check(ROWS[:1], report(0, (1, 1)), 0)

    assert missing.check(ROWS, report(LATE_S, (1, 1)), LATE_S) == []


def test_a_claim_that_arrives_is_forgotten() -> None:
    missing = LostClaimDetector()
    missing.check(ROWS, report(0, (1, 1)), 0)
    missing.check(ROWS, report(4, (1, 1), (2, 1)), 4)

    assert missing.check(ROWS, report(LATE_S, (1, 1)), LATE_S) == []


def test_an_old_report_says_nothing() -> None:
    missing = LostClaimDetector()
    for now in (0, LATE_S, 2 * LATE_S):
        assert missing.check(ROWS, report(now - MAX_REPORT_AGE_S), now) == []


def test_a_process_that_has_not_reported_yet_says_nothing() -> None:
    missing = LostClaimDetector()
    for now in (0, LATE_S, 2 * LATE_S):
        assert missing.check(ROWS, {7: ProcessReport(7, NEVER_REPORTED)}, now) == []


def test_a_claim_that_showed_after_its_process_was_buried_ran_for_ever() -> None:
    missing = LostClaimDetector()
    heir = {8: ProcessReport(8, 0, frozenset())}

    assert missing.check(ROWS, heir, 0) == []
    assert missing.check(ROWS, heir, LATE_S) == ROWS


def test_a_gap_in_the_reports_began_the_wait_anew() -> None:
    missing = LostClaimDetector()
    missing.check(ROWS, report(0), 0)
    missing.check(ROWS, report(5), 5)

    assert missing.check(ROWS, report(5), 10) == []
    assert missing.check(ROWS, report(15), 15) == ROWS


def test_time_in_which_a_process_was_stopped_is_not_time_in_which_a_claim_could_arrive() -> None:
    missing = LostClaimDetector()
    missing.check(ROWS, report(0), 0)
    for now in (5, 10, 15):
        assert missing.check(ROWS, report(0), now) == []

    assert missing.check(ROWS, report(16), 16) == []
