"""The number of replicas: fixed, by CPU, or by the age of waiting tasks; and what all of them request together."""

from __future__ import annotations

import helm_python
import pytest

from tests.charts.rendering import SERVICES, Object, Release, merge_values, render, set_value
from tests.charts.samples import DEVELOPMENT, PRODUCTION
from tests.charts.test_pods import container

KEDA = set_value("worker.keda", {"enabled": True, "serverAddress": "http://prometheus:9090"})
BY_CPU = merge_values(
    *(set_value(f"{name}.autoscaling", {"enabled": True, "maxReplicas": 7}) for name in ("api", "worker"))
)


def copies(rendered: Release) -> dict[str, int | None]:
    return {service: rendered.get("Deployment", service)["spec"].get("replicas") for service in SERVICES}


def test_replicas_are_applied() -> None:
    rendered = render(PRODUCTION, set_value("worker.replicas", 5), set_value("coordinator.replicas", 0))

    assert copies(rendered) == {
        "api": 2,
        "coordinator": 0,
        "worker": 5,
        "collector-analytics": 1,
        "collector-k8s": 1,
    }
    assert rendered.of_kind("HorizontalPodAutoscaler") == rendered.of_kind("ScaledObject") == []


@pytest.mark.parametrize("service", ["api", "worker"])
def test_with_cpu_autoscaling_replicas_are_not_set(service: str) -> None:
    """Setting it on an upgrade would discard the autoscaler's decision."""
    rendered = render(PRODUCTION, BY_CPU)

    spec = rendered.get("HorizontalPodAutoscaler", service)["spec"]

    assert copies(rendered)[service] is None
    assert spec["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": f"demo-taskcore-{service}",
    }
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 7)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}


def test_keda_scales_by_the_backlog() -> None:
    rendered = render(
        PRODUCTION, KEDA, set_value("worker.queues", ["mail", "default"]), set_value("worker.keda.ageSeconds", 120)
    )

    spec = rendered.get("ScaledObject", "worker")["spec"]
    (trigger,) = spec["triggers"]

    assert copies(rendered)["worker"] is None
    assert spec["scaleTargetRef"] == {"name": "demo-taskcore-worker"}
    assert (trigger["type"], trigger["metricType"]) == ("prometheus", "AverageValue")
    assert trigger["metadata"] == {
        "serverAddress": "http://prometheus:9090",
        "query": 'max(taskcore_queue_oldest_age_seconds{namespace="tasks",queue=~"mail|default"})'
        ' or 0 * max(taskcore_workers_live{namespace="tasks"})',
        "ignoreNullValues": "false",
        "threshold": "120",
    }


def test_custom_keda_query_replaces_the_default() -> None:
    rendered = render(PRODUCTION, KEDA, set_value("worker.keda.query", "max(age)"))

    assert rendered.get("ScaledObject", "worker")["spec"]["triggers"][0]["metadata"]["query"] == "max(age)"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (merge_values(BY_CPU, KEDA), "worker.autoscaling and worker.keda are both enabled"),
        (set_value("worker.keda.enabled", True), "worker.keda needs worker.keda.serverAddress"),
        (
            merge_values(BY_CPU, set_value("api.resources.requests", {"cpu": None})),
            r"api.autoscaling needs api.resources.requests.cpu",
        ),
        (
            merge_values(BY_CPU, set_value("worker.autoscaling.minReplicas", 8)),
            "worker.autoscaling.minReplicas is 8, more than maxReplicas, 7",
        ),
        (
            merge_values(KEDA, set_value("worker.keda.minReplicas", 11)),
            "worker.keda.minReplicas is 11, more than maxReplicas, 10",
        ),
    ],
)
def test_contradictory_scaling_fails_with_an_explanation(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(helm_python.HelmError, match=sentence):
        render(PRODUCTION, values)


def test_large_numbers_stay_integers() -> None:
    rendered = render(
        PRODUCTION, set_value("migrations.deadlineSeconds", 2_000_000), set_value("test.timeoutSeconds", 3_000_000)
    )

    (job,), (pod,) = rendered.of_kind("Job"), rendered.of_kind("Pod")

    assert job["spec"]["activeDeadlineSeconds"] == 2_000_000
    assert pod["spec"]["activeDeadlineSeconds"] == 3_000_060
    assert pod["spec"]["containers"][0]["command"][-1] == "3000000"


def test_development_servers_and_services_fit_on_two_cpus() -> None:
    rendered = render(DEVELOPMENT)

    cpus = sum(requested(one, "cpu", "m") for one in workloads(rendered))
    memory = sum(requested(one, "memory", "Mi") for one in workloads(rendered))

    assert (cpus, memory) == (500, 1_600)  # as docs/helm.md says
    assert sum(requested(one, "cpu", "m") for one in workloads(render(PRODUCTION))) == 1_700


def test_given_requests_replace_those_of_the_chart() -> None:
    rendered = render(DEVELOPMENT, set_value("worker.resources.requests", {"cpu": "2"}))

    (one,) = (one for one in workloads(rendered) if one["metadata"]["name"] == "demo-taskcore-worker")

    assert container(one["spec"]["template"])["resources"]["requests"] == {"cpu": "2", "memory": "256Mi"}


def workloads(rendered: Release) -> list[Object]:
    return rendered.of_kind("Deployment") + rendered.of_kind("StatefulSet")


def requested(workload: Object, resource: str, unit: str) -> int:
    """Return what all replicas request together."""
    amount = container(workload["spec"]["template"])["resources"]["requests"][resource]
    return int(amount.removesuffix(unit)) * int(workload["spec"]["replicas"])
