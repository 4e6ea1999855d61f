"""Two releases next to each other, whatever their names, do not mix up their objects."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.charts.rendering import Object, Release, component_of, render
from tests.charts.samples import DEVELOPMENT, EVERYTHING, VALUE_SETS

LONG = "a-release-whose-name-is-as-long-as-helm-lets-it-be-01"
#: Names that come close to each other: with ours in them, cut off, with what a Service may not have in its name.
NAMES = (
    *("demo", "demo-taskcore", "taskcore", "demo-taskcore-api", LONG, f"{LONG[:-1]}2", LONG[:40]),
    *("a.b", "a-b", "1st", "r1st", "123", "true"),
)


def identities(rendered: Release, namespace: str) -> set[tuple[str, str, str]]:
    """Return the identities of the objects, which must be unique in the cluster."""
    return {(one["kind"], _namespace(one, namespace), one["metadata"]["name"]) for one in rendered.objects}


def _namespace(one: Object, namespace: str) -> str:
    if one["kind"].startswith("Cluster"):
        return ""
    named: str = one["metadata"].get("namespace", namespace)
    return named


@pytest.mark.parametrize("values", VALUE_SETS)
def test_releases_in_a_namespace_share_no_object(values: str) -> None:
    of_each = {name: identities(render(VALUE_SETS[values], name=name), "tasks") for name in NAMES}

    for first, second in combinations(NAMES, 2):
        assert of_each[first] & of_each[second] == set(), (first, second)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_releases_in_a_cluster_share_no_object_outside_their_namespaces(values: str) -> None:
    places = [("demo", "a"), ("demo", "b"), ("b-demo", "a"), ("demo", "a-b"), (LONG, "a"), (LONG, "b")]

    of_each = {
        place: identities(render(VALUE_SETS[values], name=place[0], namespace=place[1]), place[1]) for place in places
    }

    for first, second in combinations(places, 2):
        assert of_each[first] & of_each[second] == set(), (first, second)


@pytest.mark.parametrize("values", [EVERYTHING, DEVELOPMENT], ids=["everything", "development"])
@pytest.mark.parametrize("name", NAMES)
def test_names_are_within_the_limits_of_kubernetes(name: str, values: dict[str, Any]) -> None:
    rendered = render(values, name=name, revision=1_000)

    for one in rendered.objects:
        length = len(one["metadata"]["name"])

        assert one["kind"].endswith(("Role", "RoleBinding")) or length <= 63
        assert one["kind"] != "StatefulSet" or length <= 52  # with the revision's hash it becomes a label value
        assert one["kind"] not in ("Service", "Deployment") or component_of(one) in one["metadata"]["name"]
        assert one["kind"] != "Service" or one["metadata"]["name"][0].isalpha()


@pytest.mark.parametrize("name", NAMES)
def test_selectors_match_only_pods_of_their_release(name: str) -> None:
    rendered = render(EVERYTHING, name=name)

    for one in rendered.objects:
        for labels in _selectors(one):
            assert labels["app.kubernetes.io/instance"] == name
            assert labels["app.kubernetes.io/name"] == "taskcore"


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_selector_matches_pods(values: str) -> None:
    """Check the selectors of Deployments, Services, budgets, policies and monitors."""
    rendered = render(VALUE_SETS[values])
    pods = [(component, pod["metadata"]["labels"]) for component, pod in rendered.pods()]

    for one in rendered.objects:
        if own := _own_selector(one):
            assert {c for c, labels in pods if own.items() <= labels.items()} == {component_of(one)}, one["kind"]
        for labels in _selectors(one):
            assert [c for c, found in pods if labels.items() <= found.items()], one["kind"]


def test_custom_labels_do_not_break_selectors() -> None:
    theirs = {"global": {"podLabels": {"app.kubernetes.io/instance": "other", "team": "tasks"}}}

    rendered = render(DEVELOPMENT, theirs)

    for component, pod in rendered.pods():
        labels = pod["metadata"]["labels"]
        assert (labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/component"]) == ("demo", component)
        assert labels["team"] == "tasks"


def test_references_within_a_release_exist() -> None:
    """Check references to accounts, ConfigMaps, Secrets and scaled objects."""
    for values in VALUE_SETS.values():
        rendered = render(values, name=LONG)
        there = {(one["kind"], one["metadata"]["name"]) for one in rendered.objects}
        text = yaml.safe_dump(rendered.objects)

        for one in rendered.of_kind("Deployment"):
            spec = one["spec"]["template"]["spec"]
            config = next(v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "config")
            assert ("ServiceAccount", spec["serviceAccountName"]) in there
            assert ("ConfigMap", config) in there
        for one in [*rendered.of_kind("HorizontalPodAutoscaler"), *rendered.of_kind("ScaledObject")]:
            assert ("Deployment", one["spec"]["scaleTargetRef"]["name"]) in there
        for one in rendered.of_kind("Ingress"):
            backend = one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
            assert ("Service", backend["name"]) in there
        assert "RELEASE-NAME" not in text


def _own_selector(one: Object) -> dict[str, str]:
    """Return the selector of the object's own component."""
    spec = one.get("spec", {})
    selector: dict[str, Any] = spec.get("selector") or spec.get("podSelector") or {}
    labels: dict[str, str] = selector.get("matchLabels", selector)
    return labels


def _selectors(one: Object) -> list[dict[str, str]]:
    """Return all selectors of Taskcore's pods in an object."""
    found: list[dict[str, str]] = []
    todo: list[Any] = [one.get("spec")]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            labels = value.get("matchLabels")
            if labels and "app.kubernetes.io/name" in labels:
                found.append(labels)
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return found
