"""The metrics of this service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS = Counter("taskcore_k8s_events", "Versions of events stored", ["cluster", "type"])
EVENTS_REJECTED = Counter("taskcore_k8s_events_rejected", "What could not be read or stored, left out", ["cluster"])
EVENTS_RATE_LIMITED = Counter(
    "taskcore_k8s_events_rate_limited", "Events of a flood that were only counted", ["cluster"]
)
GAPS = Counter("taskcore_k8s_gaps", "Times that events may have been lost", ["cluster"])
RECONNECTS = Counter("taskcore_k8s_reconnects", "Lists and watches that ended in trouble", ["cluster"])
STALENESS = Gauge("taskcore_k8s_staleness_seconds", "Since the quietest stream was heard", ["cluster"])
IS_LEADER = Gauge("taskcore_k8s_is_leader", "1 where this copy is the one at work", ["cluster"])
