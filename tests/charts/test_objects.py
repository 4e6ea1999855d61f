"""A cluster accepts every object of every set of values."""

from __future__ import annotations

import re

import helm_python
import pytest

from tests.charts.rendering import CHART, ROOT, load_chart, render
from tests.charts.samples import DEVELOPMENT, EVERYTHING, VALUE_SETS
from tests.charts.schemas import VERSIONS, schema_errors

#: Kinds of operators, which Kubernetes has no schemas of, and what they cannot do without.
CUSTOM = {
    ("keda.sh/v1alpha1", "ScaledObject"): {"scaleTargetRef", "triggers"},
    ("monitoring.coreos.com/v1", "PodMonitor"): {"selector", "podMetricsEndpoints"},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"groups"},
}
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize("values", VALUE_SETS)
def test_helm_lint_finds_nothing(values: str) -> None:
    report = helm_python.lint(CHART, VALUE_SETS[values], strict=True, namespace="tasks", kube_version="v1.29.0")

    assert report["errors"] == []
    assert [m["error"] for m in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_object_matches_its_schema(values: str, version: str) -> None:
    objects = render(VALUE_SETS[values]).objects

    found = {
        (one["kind"], one["metadata"]["name"]): schema_errors(one, version)
        for one in objects
        if (one["apiVersion"], one["kind"]) not in CUSTOM
    }

    assert len(found) > 25
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_custom_resources_have_their_required_fields() -> None:
    objects = {(one["apiVersion"], one["kind"]): one for one in render(EVERYTHING).objects}

    for kind, needed in CUSTOM.items():
        assert needed <= set(objects[kind]["spec"]), kind


@pytest.mark.parametrize("values", VALUE_SETS)
def test_objects_are_unique_and_names_valid_for_any_kind(values: str) -> None:
    objects = render(VALUE_SETS[values]).objects

    identities = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    plain = [name for kind, _, name in identities if "Role" not in kind]

    assert len(set(identities)) == len(identities)
    assert all(NAME.fullmatch(name) and len(name) <= 63 for name in plain), plain


@pytest.mark.parametrize("name", ["012", "true", "null"])
def test_names_that_yaml_would_convert_stay_text(name: str) -> None:
    names = {
        "api": {"ingress": {"tlsSecret": name, "className": name}, "priorityClassName": name},
        "global": {"image": {"pullSecrets": [name]}, "tracing": {"headersSecret": name, "headersKey": name}},
        "collector-k8s": {"namespaces": [name]},
    }
    server = {"postgresql": {"storageClass": name}}
    rendered = [render(EVERYTHING, names, namespace=name), render(DEVELOPMENT, server, namespace=name)]

    objects = [one for each in rendered for one in each.objects if (one["apiVersion"], one["kind"]) not in CUSTOM]

    assert [wrong for one in objects for wrong in schema_errors(one, VERSIONS[-1])] == []
    assert {one["metadata"]["namespace"] for one in rendered[0].of_kind("Role")} == {name}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_object_has_the_common_labels(values: str) -> None:
    for one in render(VALUE_SETS[values]).objects:
        labels = one["metadata"]["labels"]

        assert labels["app.kubernetes.io/instance"] == "demo"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"] == f"taskcore-{load_chart().version}"


def test_all_charts_have_the_version_of_the_packages() -> None:
    metadata = load_chart().metadata
    version = (ROOT / "VERSION").read_text().strip()

    assert {metadata["version"], metadata["appVersion"]} == {version}
    assert {one["version"] for one in metadata["dependencies"]} == {version}
    assert {(one["version"], one["appVersion"]) for one in load_chart().dependencies} == {(version, version)}


def test_service_templates_have_at_most_five_lines() -> None:
    for path in CHART.glob("charts/*/templates/*.yaml"):
        is_common = path.parent.parent.name != "taskcore-lib" and path.name != "rbac.yaml"

        assert not is_common or len(path.read_text().splitlines()) <= 5, path


def test_unknown_field_is_found() -> None:
    deployment = render(EVERYTHING).get("Deployment", "api")

    assert schema_errors(deployment | {"spec": deployment["spec"] | {"replica": 1}}, VERSIONS[-1]) == [
        "$.spec: Additional properties are not allowed ('replica' was unexpected)"
    ]
