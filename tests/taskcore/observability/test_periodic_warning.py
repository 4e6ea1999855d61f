"""A warning that is written at most once a minute, and counts what happened since."""

from __future__ import annotations

from structlog.testing import capture_logs

from taskcore.observability.periodic_warning import INTERVAL_S, PeriodicWarning


def test_what_happens_within_a_minute_is_counted_in_the_next_line() -> None:
    now = [100.0]
    warning = PeriodicWarning("tasks.unserved", lambda: now[0])

    with capture_logs() as lines:
        warning.add({"a": 1}, queue="x")
        warning.add({"a": 2})
        warning.add({"b": 3})
        now[0] += INTERVAL_S
        warning.add({"b": 4}, queue="y")
        warning.add({})

    assert [(line["count"], line["counts"], line["queue"]) for line in lines] == [
        (1, {"a": 1}, "x"),
        (9, {"b": 7, "a": 2}, "y"),
    ]
