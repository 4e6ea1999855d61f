"""The network policies allow what is needed and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.rendering import SERVICES, Object, Release, Values, render, set_value
from tests.charts.samples import DEVELOPMENT, EVERYTHING, PRODUCTION, VALUE_SETS

DNS = [("UDP", 53), ("TCP", 53)]
DATABASE, AMQP = ("TCP", 5432), ("TCP", 5672)
CLUSTER = [("TCP", port) for port in (443, 6443, 8443, 16443)]
CLOSED = set_value("worker.openEgress", False)
NEEDS: dict[str, list[tuple[str, int]]] = {
    "api": [*DNS, DATABASE],
    "coordinator": [*DNS, DATABASE, AMQP],
    "worker": [*DNS, DATABASE, AMQP],
    "collector-analytics": [*DNS, DATABASE, AMQP],
    "collector-k8s": [*DNS, DATABASE, *CLUSTER],
    "migrate": [*DNS, DATABASE],
    "test": [*DNS, ("TCP", 8080)],
}


def ports(rules: list[Object]) -> list[tuple[str, Any]]:
    return [(port["protocol"], port["port"]) for rule in rules for port in rule.get("ports", [])]


def egress(rendered: Release, component: str) -> list[Object]:
    rules: list[Object] = rendered.get("NetworkPolicy", component)["spec"]["egress"]
    return rules


@pytest.mark.parametrize("values", [PRODUCTION, DEVELOPMENT], ids=["production", "development"])
@pytest.mark.parametrize("component", NEEDS)
def test_each_component_reaches_only_what_it_needs(component: str, values: Values) -> None:
    rendered = render(values, CLOSED)

    assert sorted(ports(egress(rendered, component))) == sorted(NEEDS[component])
    assert rendered.get("NetworkPolicy", component)["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_tasks_may_go_anywhere_by_default() -> None:
    rendered = render(PRODUCTION)

    open_to_all = [component for component in NEEDS if {} in egress(rendered, component)]

    assert open_to_all == ["worker"]


def test_extra_egress_is_allowed() -> None:
    for service in SERVICES:
        assert {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]} in egress(render(EVERYTHING), service)


def test_egress_can_be_limited_to_external_servers() -> None:
    rendered = render(PRODUCTION, set_value("global.networkPolicy", {"databasePort": 6432, "amqpPort": 5671}), CLOSED)
    named = egress(render(EVERYTHING), "coordinator")

    assert {("TCP", 6432), ("TCP", 5671)} < set(ports(egress(rendered, "coordinator")))
    assert {"ports": [{"protocol": "TCP", "port": 5432}], "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]} in named


def test_development_servers_accept_only_their_own_release() -> None:
    rendered = render(DEVELOPMENT)

    for server, port in (("postgresql", 5432), ("rabbitmq", 5672)):
        (ingress,) = rendered.get("NetworkPolicy", server)["spec"]["ingress"]
        (rule,) = (rule for rule in egress(rendered, "coordinator") if ("TCP", port) in ports([rule]))

        assert ports([ingress]) == [("TCP", port)]
        assert [list(peer) for peer in ingress["from"]] == [["podSelector"]]
        assert ingress["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "demo"
        assert rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == server


def test_api_accepts_its_namespace_and_the_helm_test_and_others_accept_nobody() -> None:
    rendered = render(PRODUCTION)

    (rule,) = rendered.get("NetworkPolicy", "api")["spec"]["ingress"]
    namespace, test = rule["from"]

    assert ports([rule]) == [("TCP", 8080)]
    assert namespace == {"podSelector": {}}
    assert test["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    for component in set(NEEDS) - {"api"}:
        assert "ingress" not in rendered.get("NetworkPolicy", component)["spec"]


def test_clients_of_the_api_can_be_configured() -> None:
    gateway = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
    rendered = render(PRODUCTION, set_value("global.networkPolicy.apiFrom", gateway))

    (rule,) = rendered.get("NetworkPolicy", "api")["spec"]["ingress"]

    assert rule["from"][:-1] == gateway


def test_api_can_be_closed_to_all_but_the_helm_test() -> None:
    rendered = render(PRODUCTION, set_value("global.networkPolicy.apiFrom", []))

    (rule,) = rendered.get("NetworkPolicy", "api")["spec"]["ingress"]
    (peer,) = rule["from"]

    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"


def test_helm_test_reaches_its_api_under_a_default_deny_policy() -> None:
    *_, rule = egress(render(PRODUCTION), "test")

    assert rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_are_open_to_the_configured_peers(service: str) -> None:
    rendered = render(EVERYTHING)
    (container,) = rendered.get("Deployment", service)["spec"]["template"]["spec"]["containers"]

    rule = rendered.get("NetworkPolicy", service)["spec"]["ingress"][-1]

    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert ports([rule]) == [("TCP", container["ports"][-1]["containerPort"])]


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://jaeger:4318", 4318),
        ("https://otlp.example.com", 443),
        ("http://otlp.example.com/v1/traces", 80),
        ("http://[fd00::1]:4318/v1/traces", 4318),
    ],
)
def test_traces_reach_their_endpoint(url: str, port: int) -> None:
    rendered = render(PRODUCTION, set_value("global.tracing.endpoint", url), CLOSED)

    for service in SERVICES:
        assert set(ports(egress(rendered, service))) == {*NEEDS[service], ("TCP", port)}


def test_only_the_api_queries_traces() -> None:
    rendered = render(
        PRODUCTION, set_value("global.tracing.queryUrl", "http://jaeger:16686/api/v3/traces/{trace_id}"), CLOSED
    )

    assert [s for s in SERVICES if ("TCP", 16686) in ports(egress(rendered, s))] == ["api"]


def test_ports_of_the_cluster_api_can_be_changed() -> None:
    rendered = render(PRODUCTION, set_value("global.networkPolicy.clusterPorts", [16443]))

    assert set(ports(egress(rendered, "collector-k8s"))) == {*DNS, DATABASE, ("TCP", 16443)}


def test_policies_can_be_disabled() -> None:
    assert render(VALUE_SETS["plain"]).of_kind("NetworkPolicy") == []
