"""Least privilege: nobody but the collector of events has a token, and its rights are to read events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.rendering import SERVICES, Release, component_of, render, set_value
from tests.charts.samples import EVERYTHING, PRODUCTION, VALUE_SETS

EVENTS = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["list", "watch"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
OF_RIGHTS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def rights(rendered: Release) -> dict[str, list[dict[str, Any]]]:
    return {kind: found for kind in OF_RIGHTS if (found := rendered.of_kind(kind))}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_nobody_else_has_a_token_or_rights(values: str) -> None:
    rendered = render(VALUE_SETS[values])

    with_token = {c for c, pod in rendered.pods() if pod["spec"]["automountServiceAccountToken"] is not False}
    accounts = rendered.of_kind("ServiceAccount")

    assert with_token == {"collector-k8s"}
    assert {component_of(one) for one in accounts} == set(SERVICES)
    assert {one["automountServiceAccountToken"] for one in accounts} == {False}
    for found in rights(rendered).values():
        assert {component_of(one) for one in found} == {"collector-k8s"}


def test_the_collector_may_read_the_events_of_the_cluster_and_nothing_else() -> None:
    found = rights(render(PRODUCTION))
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


def test_with_namespaces_it_may_read_those_alone() -> None:
    found = rights(render(EVERYTHING))

    assert {kind: [one["metadata"]["namespace"] for one in of_kind] for kind, of_kind in found.items()} == {
        "Role": ["shop", "mail"],
        "RoleBinding": ["shop", "mail"],
    }
    for role, binding in zip(found["Role"], found["RoleBinding"], strict=True):
        assert role["rules"] == [EVENTS, PODS]
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"][0]["namespace"] == "tasks"


def test_it_may_get_pods_where_it_is_to_look_at_them() -> None:
    (role,) = render(PRODUCTION, set_value("collector-k8s.readPods", True)).of_kind("ClusterRole")

    assert role["rules"] == [EVENTS, PODS]


@pytest.mark.parametrize("off", ["collector-k8s.ownCluster", "collector-k8s.enabled"])
def test_without_the_clusters_events_there_are_no_rights_at_all(off: str) -> None:
    rendered = render(PRODUCTION, set_value(off, False))

    assert rights(rendered) == {}
    assert [c for c, pod in rendered.pods() if pod["spec"]["automountServiceAccountToken"] is not False] == []


def test_accounts_can_be_given_rights_of_the_clouds() -> None:
    accounts = render(EVERYTHING).of_kind("ServiceAccount")

    assert {str(one["metadata"]["annotations"]) for one in accounts} == {"{'role': 'ours'}"}
