"""Service, Ingress, monitors, rules, dashboard, and the notes after an installation."""

from __future__ import annotations

import json
import re
import shlex

import helm_python
import pytest
import yaml
from click.testing import CliRunner

from taskclient.cli.program import program
from taskcore.probe import DEFAULT_PORT
from tests.charts.rendering import CHART, SERVICES, render, set_value
from tests.charts.samples import DEVELOPMENT, EVERYTHING, PRODUCTION, VALUE_SETS

MONITORS = [
    set_value("global.monitoring.monitors", True),
    set_value("global.networkPolicy.metricsFrom", [{"podSelector": {}}]),
]


def test_api_has_a_service() -> None:
    rendered = render(PRODUCTION)

    spec = rendered.get("Service", "api")["spec"]
    (container,) = rendered.get("Deployment", "api")["spec"]["template"]["spec"]["containers"]

    assert spec["type"] == "ClusterIP"
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [(8080, container["ports"][0]["name"])]
    assert rendered.of_kind("Ingress") == []


def test_no_service_publishes_health_and_metrics() -> None:
    for service in render(EVERYTHING).of_kind("Service"):
        assert DEFAULT_PORT not in [port["port"] for port in service["spec"]["ports"]]


def test_ingress_leads_to_the_api() -> None:
    rendered = render(EVERYTHING)

    spec = rendered.get("Ingress", "api")["spec"]
    service = rendered.get("Service", "api")

    assert (spec["ingressClassName"], spec["tls"]) == (
        "nginx",
        [{"hosts": ["tasks.example.com"], "secretName": "tls"}],
    )
    assert spec["rules"][0]["host"] == "tasks.example.com"
    assert spec["rules"][0]["http"]["paths"][0]["backend"]["service"] == {
        "name": service["metadata"]["name"],
        "port": {"name": service["spec"]["ports"][0]["name"]},
    }


def test_ingress_without_a_host_is_rejected() -> None:
    with pytest.raises(helm_python.HelmError, match=r"api\.ingress\.host is empty"):
        render(PRODUCTION, set_value("api.ingress.enabled", True))


@pytest.mark.parametrize("service", SERVICES)
def test_monitors_scrape_the_health_port(service: str) -> None:
    rendered = render(EVERYTHING)

    monitor = rendered.get("PodMonitor", service)
    pod = rendered.get("Deployment", service)["spec"]["template"]
    port = next(port for port in pod["spec"]["containers"][0]["ports"] if port["containerPort"] == DEFAULT_PORT)
    labels = pod["metadata"]["labels"]

    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": port["name"], "path": "/metrics", "interval": "30s"}]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_monitors_without_allowed_peers_are_rejected() -> None:
    with pytest.raises(helm_python.HelmError, match=r"name its pods in global\.networkPolicy\.metricsFrom"):
        render(PRODUCTION, MONITORS[0])

    assert len(render(PRODUCTION, *MONITORS).of_kind("PodMonitor")) == 5
    assert (
        len(render(PRODUCTION, MONITORS[0], set_value("global.networkPolicy.enabled", False)).of_kind("PodMonitor"))
        == 5
    )


def test_rules_are_those_of_the_file() -> None:
    (rule,) = render(EVERYTHING).of_kind("PrometheusRule")

    assert rule["spec"] == yaml.safe_load((CHART / "files/alerts.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_dashboard_is_that_of_the_file_with_a_name_per_release() -> None:
    """Grafana's sidecar overwrites a dashboard by one of the same name."""
    original = json.loads((CHART / "files/dashboard.json").read_text())
    found = [render(EVERYTHING, namespace=namespace).get("ConfigMap", "dashboard") for namespace in ("a", "b")]

    ((first, text), (second, other)) = (next(iter(one["data"].items())) for one in found)

    assert first != second
    assert json.loads(text)["uid"] != json.loads(other)["uid"]
    assert len(json.loads(text)["uid"]) <= 40
    assert json.loads(text) | {"uid": "", "title": ""} == original | {"uid": "", "title": ""}
    assert found[0]["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_monitoring_is_off_by_default() -> None:
    kinds = {one["kind"] for one in render(PRODUCTION).objects}

    assert not kinds & {"PodMonitor", "PrometheusRule", "ScaledObject"}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_notes_name_existing_objects_and_warn(values: str) -> None:
    rendered = render(VALUE_SETS[values], name="ours", namespace="shop")

    (service,) = re.findall(r"port-forward service/(\S+) 8080", rendered.notes)

    assert service == rendered.get("Service", "api")["metadata"]["name"]
    assert "helm test ours -n shop" in rendered.notes
    assert "WARNING: the API has no authentication" in rendered.notes
    assert ("for development" in rendered.notes) == bool(rendered.of_kind("StatefulSet"))
    assert ("No network policy protects it" in rendered.notes) == (not rendered.of_kind("NetworkPolicy"))
    assert ("https://tasks.example.com" in rendered.notes) == bool(rendered.of_kind("Ingress"))
    for job in re.findall(r"by the Job (\S+),", rendered.notes):
        assert job == rendered.get("Job", "migrate")["metadata"]["name"]


def test_command_in_the_notes_is_valid() -> None:
    (line,) = re.findall(r"^  task-cli (.*)$", render(DEVELOPMENT).notes, re.M)

    parsed = CliRunner().invoke(program, [*shlex.split(line), "--help"], prog_name="task-cli")

    assert (parsed.exit_code, parsed.output.split("\n")[0]) == (0, "Usage: task-cli task create [OPTIONS] NAME")
    assert CliRunner().invoke(program, [*shlex.split(line), "--nonsense", "--help"]).exit_code == 2


def test_notes_warn_without_a_coordinator() -> None:
    assert "no task starts" in render(PRODUCTION, set_value("coordinator.enabled", False)).notes
    assert "no task starts" not in render(PRODUCTION).notes
