"""Events as JSON in the shapes of both API groups, and field selectors. The fake cluster stores that of core/v1."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]

CORE_V1 = "v1"
EVENTS_V1 = "events.k8s.io/v1"

NEW_NAMES = {
    "reportingComponent": "reportingController",
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
SELECTABLE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def event(name: str, namespace: str = "default", **fields: Any) -> Event:
    """Return an event about the pod of the same name. `fields` replace its fields; `labels` are its labels."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    labels = fields.pop("labels", None)
    return {
        "metadata": {"name": name, "namespace": namespace} | ({"labels": labels} if labels else {}),
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": name,
            "uid": pod_uid(name),
        },
        "reason": "Started",
        "message": f"Started container {name}",
        "type": "Normal",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    } | fields


def pod_uid(name: str) -> str:
    return f"uid-of-{name}"


def in_group(event: Event, group: str) -> Event:
    """Return an event in the shape of `group`."""
    if group == CORE_V1:
        return event
    return {NEW_NAMES.get(name, name): value for name, value in event.items()}


def as_core_v1(body: Event) -> Event:
    """Return an event as stored, from what a client sent to core/v1."""
    return {name: value for name, value in body.items() if name not in ("apiVersion", "kind")}


def encoded(event: Event, group: str) -> bytes:
    """Encode an event for a watch, with its kind, which the items of a list lack."""
    return json.dumps({"kind": "Event", "apiVersion": group, **in_group(event, group)}).encode()


def selector(text: str) -> Callable[[Event], bool]:
    """Raises: ValueError: the field cannot be selected by."""
    terms = [_term(term) for term in text.split(",") if term]
    return lambda event: all((_fields(event)[name] == value) is is_equal for name, value, is_equal in terms)


def _term(term: str) -> tuple[str, str, bool]:
    name, _, value = term.replace("==", "=").partition("=")
    is_equal = not name.endswith("!")
    name = (
        name.rstrip("!").replace("regarding.", "involvedObject.").replace("reportingController", "reportingComponent")
    )
    if name not in _fields({"metadata": {}, "involvedObject": {}}):
        raise ValueError(f"field label not supported: {name}")
    return name, value, is_equal


def _fields(event: Event) -> dict[str, str]:
    involved = {f"involvedObject.{name}": event["involvedObject"].get(name, "") for name in SELECTABLE}
    source = event.get("source") or {}
    return involved | {
        "metadata.name": event["metadata"].get("name", ""),
        "metadata.namespace": event["metadata"].get("namespace", ""),
        "reason": event.get("reason", ""),
        "type": event.get("type", ""),
        "reportingComponent": event.get("reportingComponent", ""),
        "source": source.get("component") or event.get("reportingComponent", ""),
    }
