"""Bodies of the API's responses about history, Kubernetes events and alerts."""

from __future__ import annotations

from typing import Any

from tests.taskclient.fake_task_server import Answer

ENTRY = {
    "id": 1,
    "task_id": 5,
    "attempt": 0,
    "from_status": None,
    "to_status": "queued",
    "actor": "api",
    "details": None,
    "at": "2030-01-02T03:04:05Z",
}


def event(number: int, **members: Any) -> dict[str, Any]:
    return {
        "id": number,
        "cluster": "home",
        "uid": f"uid-{number}",
        "resource_version": str(number),
        "is_current": True,
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "reason": "BackOff",
        "type": "Warning",
        "message": f"message {number}",
        "component": "kubelet",
        "count": 1,
        "first_at": "2030-01-02T03:04:05Z",
        "at": f"2030-01-02T03:04:{number:02}Z",
        "task_id": None,
        "collected_at": "2030-01-02T03:04:05Z",
        "of_a_newer_server": 1,
    } | members


def gap(**members: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "cluster": "home",
        "namespace": "",
        "kind": "lost",
        "reason": None,
        "count": None,
        "from_at": "2030-01-02T03:04:00Z",
        "until_at": "2030-01-02T03:04:01Z",
    } | members


def alert(number: int, **members: Any) -> dict[str, Any]:
    return {
        "id": number,
        "rule": "warning",
        "cluster": "home",
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "reason": "BackOff",
        "type": "Warning",
        "message": "Back-off\nrestarting",
        "count": 3,
        "first_at": "2030-01-02T03:04:05Z",
        "last_at": "2030-01-02T03:04:06Z",
        "task_id": 17,
        "resolved_at": None,
        "resolved_by": None,
    } | members


def page(*items: dict[str, Any], **members: Any) -> Answer:
    body = {"items": list(items), "gaps": [], "next_before": None, "next_after": "9.1", "has_more": False}
    return Answer(200, body | members)
