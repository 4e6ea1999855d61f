"""What the chart finds in a cluster changes what it renders: Secrets, passwords, and the number of replicas."""

from __future__ import annotations

import base64
import json
from typing import Any

import helm_python
import pytest

from harness.http_server import HttpServer
from tests.charts.live.live_cluster import LiveCluster
from tests.charts.rendering import Object, Values, merge_values, render, set_value
from tests.charts.samples import DEVELOPMENT, PRODUCTION
from tests.charts.test_scaling import BY_CPU, KEDA

KEEPS = "taskcore.io/keeps-replicas"


@pytest.fixture
def cluster(http_server: HttpServer) -> LiveCluster:
    cluster = LiveCluster(http_server)
    cluster.add_secret("our-postgresql", "database_url")
    cluster.add_secret("our-rabbitmq", "amqp_url")
    return cluster


def test_existing_password_is_kept(cluster: LiveCluster) -> None:
    """Its Secret remains after helm uninstall, as its volume does."""
    keys = ("password", "owner_password", "runtime_password")
    known = dict.fromkeys(keys, base64.b64encode(b"as before").decode())
    for kind in ("postgresql", "rabbitmq"):
        cluster.add("v1", "Secret", f"demo-taskcore-{kind}", data=known)

    secrets = cluster.upgrade(DEVELOPMENT).of_kind("Secret")

    assert [one["stringData"]["password"] for one in secrets] == ["as before", "as before"]
    assert ["taskcore:as before@" in text for text in map(json.dumps, secrets)] == [True, True]
    assert {one["metadata"]["annotations"]["helm.sh/resource-policy"] for one in secrets} == {"keep"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            set_value("global.database.existingSecret", "none"),
            "no Secret none in the namespace tasks, which global.database.existingSecret names",
        ),
        (
            set_value("global.database.key", "url"),
            "Secret our-postgresql in the namespace tasks has no key url; it has: database_url",
        ),
        (set_value("global.database.directKey", "direct"), "has no key direct"),
        (set_value("global.database.ownerKey", "owner"), "has no key owner"),
        (set_value("global.amqp.existingSecret", "none"), "which global.amqp.existingSecret names"),
        (
            set_value("global.tracing", {"endpoint": "http://otlp:4318", "headersSecret": "none"}),
            "which global.tracing.headersSecret names",
        ),
        (set_value("worker.settingsSecret", "none"), "which worker.settingsSecret names"),
    ],
)
def test_a_missing_secret_or_key_fails_at_once(cluster: LiveCluster, changes: Values, sentence: str) -> None:
    with pytest.raises(helm_python.HelmError, match=sentence):
        cluster.upgrade(PRODUCTION, changes)


def test_existing_secrets_pass(cluster: LiveCluster) -> None:
    cluster.add_secret("more", "smtp__password")
    disabled = {"worker": {"enabled": False, "settingsSecret": "none"}}

    assert cluster.upgrade(PRODUCTION, disabled, set_value("api.settingsSecret", "more")).of_kind("Deployment")


def test_without_a_cluster_no_secret_is_missed() -> None:
    assert render(PRODUCTION).of_kind("Deployment")


def replicas(cluster: LiveCluster, *layers: Values) -> tuple[int | None, Any]:
    deployment: Object = cluster.upgrade(PRODUCTION, *layers).get("Deployment", "worker")
    return deployment["spec"].get("replicas"), deployment["metadata"].get("annotations")


@pytest.mark.parametrize("scaling", [BY_CPU, KEDA], ids=["cpu", "keda"])
def test_enabling_an_autoscaler_keeps_the_number_of_replicas(cluster: LiveCluster, scaling: Values) -> None:
    """Its absence in the new manifest would be 1 in the cluster, until the autoscaler repairs it."""
    cluster.add("apps/v1", "Deployment", "demo-taskcore-worker", spec={"replicas": 6})

    assert replicas(cluster, scaling) == (6, {KEEPS: "true"})


def test_an_enabled_autoscaler_starts_with_its_minimum(cluster: LiveCluster) -> None:
    cluster.add("apps/v1", "Deployment", "demo-taskcore-worker", spec={"replicas": 1})

    assert replicas(cluster, BY_CPU) == (2, {KEEPS: "true"})


def test_a_number_that_was_written_is_written_again(cluster: LiveCluster) -> None:
    metadata = {"annotations": {KEEPS: "true"}}
    cluster.add("apps/v1", "Deployment", "demo-taskcore-worker", metadata=metadata, spec={"replicas": 5})
    cluster.add("autoscaling/v2", "HorizontalPodAutoscaler", "demo-taskcore-worker")

    assert replicas(cluster, BY_CPU) == (5, {KEEPS: "true"})


@pytest.mark.parametrize(
    ("version", "kind", "scaling"),
    [
        ("autoscaling/v2", "HorizontalPodAutoscaler", BY_CPU),
        ("keda.sh/v1alpha1", "ScaledObject", KEDA),
    ],
)
def test_a_number_that_was_never_written_is_left_to_the_autoscaler(
    cluster: LiveCluster, version: str, kind: str, scaling: Values
) -> None:
    cluster.add("apps/v1", "Deployment", "demo-taskcore-worker", spec={"replicas": 5})
    cluster.add(version, kind, "demo-taskcore-worker")

    assert replicas(cluster, scaling) == (None, None)


def test_disabling_an_autoscaler_sets_the_number_again(cluster: LiveCluster) -> None:
    metadata = {"annotations": {KEEPS: "true"}}
    cluster.add("apps/v1", "Deployment", "demo-taskcore-worker", metadata=metadata, spec={"replicas": 5})

    assert replicas(cluster, merge_values(set_value("worker.replicas", 4))) == (4, None)
