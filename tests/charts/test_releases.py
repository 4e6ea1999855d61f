"""Two releases side by side: nothing of one is taken for the other's, whatever they are called."""

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
    """What no two objects of a cluster may share. What is of no namespace is of the whole cluster."""
    return {(one["kind"], _namespace(one, namespace), one["metadata"]["name"]) for one in rendered.objects}


def _namespace(one: Object, namespace: str) -> str:
    if one["kind"].startswith("Cluster"):
        return ""
    named: str = one["metadata"].get("namespace", namespace)
    return named


@pytest.mark.parametrize("values", VALUE_SETS)
def test_no_two_releases_of_a_namespace_share_an_object(values: str) -> None:
    of_each = {name: identities(render(VALUE_SETS[values], name=name), "tasks") for name in NAMES}

    for first, second in combinations(NAMES, 2):
        assert of_each[first] & of_each[second] == set(), (first, second)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_no_two_releases_of_a_cluster_share_an_object_of_no_namespace_or_of_a_third(values: str) -> None:
    places = [("demo", "a"), ("demo", "b"), ("b-demo", "a"), ("demo", "a-b"), (LONG, "a"), (LONG, "b")]

    of_each = {
        place: identities(render(VALUE_SETS[values], name=place[0], namespace=place[1]), place[1]) for place in places
    }

    for first, second in combinations(places, 2):
        assert of_each[first] & of_each[second] == set(), (first, second)


@pytest.mark.parametrize("values", [EVERYTHING, DEVELOPMENT], ids=["everything", "development"])
@pytest.mark.parametrize("name", NAMES)
def test_names_are_as_short_as_kubernetes_wants_them(name: str, values: dict[str, Any]) -> None:
    rendered = render(values, name=name, revision=1_000)

    for one in rendered.objects:
        length = len(one["metadata"]["name"])

        assert one["kind"].endswith(("Role", "RoleBinding")) or length <= 63
        assert one["kind"] != "StatefulSet" or length <= 52  # with a revision's hash it is the value of a label
        assert one["kind"] not in ("Service", "Deployment") or component_of(one) in one["metadata"]["name"]
        assert one["kind"] != "Service" or one["metadata"]["name"][0].isalpha()


@pytest.mark.parametrize("name", NAMES)
def test_selectors_find_the_pods_of_their_release_alone(name: str) -> None:
    rendered = render(EVERYTHING, name=name)

    for one in rendered.objects:
        for labels in _selectors(one):
            assert labels["app.kubernetes.io/instance"] == name
            assert labels["app.kubernetes.io/name"] == "taskcore"


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_selector_finds_pods(values: str) -> None:
    """Of a Deployment, Service, budget, policy or monitor: those of its own component, and no others."""
    rendered = render(VALUE_SETS[values])
    pods = [(component, pod["metadata"]["labels"]) for component, pod in rendered.pods()]

    for one in rendered.objects:
        if own := _own_selector(one):
            assert {c for c, labels in pods if own.items() <= labels.items()} == {component_of(one)}, one["kind"]
        for labels in _selectors(one):
            assert [c for c, found in pods if labels.items() <= found.items()], one["kind"]


def test_labels_of_ones_own_do_not_take_pods_from_their_services() -> None:
    theirs = {"global": {"podLabels": {"app.kubernetes.io/instance": "other", "team": "tasks"}}}

    rendered = render(DEVELOPMENT, theirs)

    for component, pod in rendered.pods():
        labels = pod["metadata"]["labels"]
        assert (labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/component"]) == ("demo", component)
        assert labels["team"] == "tasks"


def test_what_a_release_names_of_its_own_is_there() -> None:
    """Accounts, ConfigMaps, Secrets, and what is scaled."""
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
    """What an object of ours says it is about."""
    spec = one.get("spec", {})
    selector: dict[str, Any] = spec.get("selector") or spec.get("podSelector") or {}
    labels: dict[str, str] = selector.get("matchLabels", selector)
    return labels


def _selectors(one: Object) -> list[dict[str, str]]:
    """Every selector of pods of ours, wherever it stands."""
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
