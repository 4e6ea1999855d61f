"""Least privilege: only the event collector has a token, which allows reading events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.rendering import SERVICES, Release, component_of, render, set_value
from tests.charts.samples import EVERYTHING, PRODUCTION, VALUE_SETS

EVENTS = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["list", "watch"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
RBAC_KINDS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def rules_by_kind(rendered: Release) -> dict[str, list[dict[str, Any]]]:
    return {kind: found for kind in RBAC_KINDS if (found := rendered.of_kind(kind))}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_other_pods_have_no_token_and_no_permissions(values: str) -> None:
    rendered = render(VALUE_SETS[values])

    with_token = {c for c, pod in rendered.pods() if pod["spec"]["automountServiceAccountToken"] is not False}
    accounts = rendered.of_kind("ServiceAccount")

    assert with_token == {"collector-k8s"}
    assert {component_of(one) for one in accounts} == set(SERVICES)
    assert {one["automountServiceAccountToken"] for one in accounts} == {False}
    for found in rules_by_kind(rendered).values():
        assert {component_of(one) for one in found} == {"collector-k8s"}


def test_collector_may_only_read_events_of_the_cluster() -> None:
    found = rules_by_kind(render(PRODUCTION))
    ((role,), (binding,)) = found.values()

    assert list(found) == ["ClusterRole", "ClusterRoleBinding"]
    assert role["rules"] == [EVENTS]
    assert binding["roleRef"] | {"apiGroup": ""} == {
        "apiGroup": "",
        "kind": "ClusterRole",
        "name": role["metadata"]["name"],
    }
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "demo-taskcore-collector-k8s", "namespace": "tasks"}
    ]


def test_with_namespaces_collector_may_only_read_those() -> None:
    found = rules_by_kind(render(EVERYTHING))

    assert {kind: [one["metadata"]["namespace"] for one in of_kind] for kind, of_kind in found.items()} == {
        "Role": ["shop", "mail"],
        "RoleBinding": ["shop", "mail"],
    }
    for role, binding in zip(found["Role"], found["RoleBinding"], strict=True):
        assert role["rules"] == [EVENTS, PODS]
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"][0]["namespace"] == "tasks"


def test_collector_may_get_pods_when_configured() -> None:
    (role,) = render(PRODUCTION, set_value("collector-k8s.readPods", True)).of_kind("ClusterRole")

    assert role["rules"] == [EVENTS, PODS]


@pytest.mark.parametrize("off", ["collector-k8s.ownCluster", "collector-k8s.enabled"])
def test_without_event_collection_there_are_no_permissions(off: str) -> None:
    rendered = render(PRODUCTION, set_value(off, False))

    assert rules_by_kind(rendered) == {}
    assert [c for c, pod in rendered.pods() if pod["spec"]["automountServiceAccountToken"] is not False] == []


def test_service_accounts_can_have_cloud_annotations() -> None:
    accounts = render(EVERYTHING).of_kind("ServiceAccount")

    assert {str(one["metadata"]["annotations"]) for one in accounts} == {"{'role': 'ours'}"}
