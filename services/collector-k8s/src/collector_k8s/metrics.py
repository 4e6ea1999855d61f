"""The Prometheus metrics of this service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS = Counter("taskcore_k8s_events", "Versions of events stored", ["cluster", "type"])
EVENTS_REJECTED = Counter(
    "taskcore_k8s_events_rejected", "Events skipped because they were malformed or could not be stored", ["cluster"]
)
EVENTS_RATE_LIMITED = Counter(
    "taskcore_k8s_events_rate_limited", "Events above the rate limit, counted and not stored", ["cluster"]
)
ALERTS_GROUPED = Counter(
    "taskcore_k8s_alerts_grouped", "Alerts of single objects that were grouped instead of opened", ["cluster", "rule"]
)
GAPS = Counter("taskcore_k8s_gaps", "Periods in which events may have been lost", ["cluster"])
RECONNECTS = Counter("taskcore_k8s_reconnects", "Lists and watches that ended with an error", ["cluster"])
STALENESS = Gauge("taskcore_k8s_staleness_seconds", "Time since the stalest stream was last seen", ["cluster"])
IS_LEADER = Gauge("taskcore_k8s_is_leader", "1 in the copy that collects", ["cluster"])
