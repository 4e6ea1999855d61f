"""The addresses of PostgreSQL and RabbitMQ: from an existing Secret, or of development servers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import helm_python
import pytest

from tests.charts.rendering import SERVICES, Release, render, set_value
from tests.charts.samples import DEVELOPMENT, PRODUCTION

NEED_AMQP = {"coordinator", "worker", "collector-analytics"}


def environment(rendered: Release, service: str) -> dict[str, Any]:
    (container,) = rendered.get("Deployment", service)["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_gets_only_the_secrets_that_it_needs(service: str) -> None:
    rendered = render(PRODUCTION, set_value("global.amqp.key", "url"))

    given = environment(rendered, service)
    expected = {"TASKCORE_DATABASE_URL": {"secretKeyRef": {"name": "our-postgresql", "key": "database_url"}}}
    if service in NEED_AMQP:
        expected["TASKCORE_AMQP_URL"] = {"secretKeyRef": {"name": "our-rabbitmq", "key": "url"}}

    assert given == {"TASKCORE_CONFIG": "/etc/taskcore/taskcore.yaml", **expected}
    assert rendered.of_kind("Secret") == rendered.of_kind("StatefulSet") == []


@pytest.mark.parametrize("service", SERVICES)
def test_the_url_past_a_pooler_comes_from_the_same_secret(service: str) -> None:
    rendered = render(PRODUCTION, set_value("global.database.directKey", "direct"))

    reference = {"secretKeyRef": {"name": "our-postgresql", "key": "direct"}}
    assert environment(rendered, service)["TASKCORE_DATABASE_DIRECT_URL"] == reference


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        ("amqp", "Taskcore needs PostgreSQL. Set global.database.existingSecret"),
        ("database", "Taskcore needs RabbitMQ. Set global.amqp.existingSecret"),
    ],
)
def test_missing_address_fails_with_what_to_do(left: str, sentence: str) -> None:
    with pytest.raises(helm_python.HelmError, match=sentence):
        render({"global": {left: PRODUCTION["global"][left]}})


@pytest.mark.parametrize("server", ["database", "amqp"])
def test_two_addresses_are_rejected(server: str) -> None:
    with pytest.raises(helm_python.HelmError, match=f"global.{server}: set either existingSecret"):
        render(PRODUCTION, set_value(f"global.{server}.development", True))


def test_services_without_a_broker_need_no_broker_address() -> None:
    rendered = render(
        set_value("global.database.existingSecret", "ours"), {name: {"enabled": False} for name in NEED_AMQP}
    )

    assert {one["metadata"]["name"] for one in rendered.of_kind("Deployment")} == {
        "demo-taskcore-api",
        "demo-taskcore-collector-k8s",
    }


@pytest.mark.parametrize(
    ("server", "key", "password", "image", "port"),
    [
        ("postgresql", "database_url", "runtime_password", "postgres:18", 5432),
        ("rabbitmq", "amqp_url", "password", "rabbitmq:4-management", 5672),
    ],
)
def test_development_servers_have_matching_passwords_and_addresses(
    server: str, key: str, password: str, image: str, port: int
) -> None:
    rendered = render(DEVELOPMENT)

    secret = rendered.get("Secret", server)
    service = rendered.get("Service", server)
    spec = rendered.get("StatefulSet", server)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    url = urlsplit(secret["stringData"][key])

    assert (url.username, url.password) == ("taskcore", secret["stringData"][password])
    assert len(url.password or "") == 32
    assert (url.hostname, url.port) == (service["metadata"]["name"], port)
    assert spec["serviceName"] == service["metadata"]["name"]
    assert container["image"] == image
    assert [p["containerPort"] for p in container["ports"]] == [port]
    assert environment(rendered, "worker")[f"TASKCORE_{key.upper()}"] == {
        "secretKeyRef": {"name": secret["metadata"]["name"], "key": key}
    }
    assert {"secretKeyRef": {"name": secret["metadata"]["name"], "key": "password"}} in [
        one.get("valueFrom") for one in container["env"]
    ]


def test_only_the_migration_can_change_tables_of_the_development_database() -> None:
    rendered = render(DEVELOPMENT)

    values = rendered.get("Secret", "postgresql")["stringData"]
    (job,) = rendered.of_kind("Job")
    (migration,) = job["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["valueFrom"]["secretKeyRef"]["key"] for one in migration["env"]}

    assert given == {
        "TASKCORE_DATABASE_URL": "database_url",
        "TASKCORE_DATABASE_OWNER_URL": "database_owner_url",
        "TASKCORE_DATABASE_ADMIN_URL": "database_admin_url",
    }
    assert [urlsplit(values[key]).username for key in given.values()] == ["taskcore", "taskcore_owner", "postgres"]
    for service in SERVICES:
        names = environment(rendered, service)
        assert not {"TASKCORE_DATABASE_OWNER_URL", "TASKCORE_DATABASE_ADMIN_URL"} & names.keys()


@pytest.mark.parametrize("owner_key", ["", "owner"])
def test_owner_of_the_tables_can_be_another_role_than_the_services(owner_key: str) -> None:
    rendered = render(PRODUCTION, set_value("global.database.ownerKey", owner_key))

    (job,) = rendered.of_kind("Job")
    (migration,) = job["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in migration["env"]}

    expected = {"TASKCORE_DATABASE_URL": {"name": "our-postgresql", "key": "database_url"}}
    if owner_key:
        expected["TASKCORE_DATABASE_OWNER_URL"] = {"name": "our-postgresql", "key": "owner"}
    assert given == expected


def test_one_development_server_can_be_combined_with_an_external_one() -> None:
    rendered = render(
        set_value("global.database.development", True), set_value("global.amqp.existingSecret", "our-rabbitmq")
    )

    given = environment(rendered, "coordinator")

    assert [one["metadata"]["name"] for one in rendered.of_kind("StatefulSet")] == ["demo-taskcore-postgresql"]
    assert given["TASKCORE_AMQP_URL"]["secretKeyRef"]["name"] == "our-rabbitmq"


def test_each_release_gets_a_new_password() -> None:
    first = render(DEVELOPMENT).get("Secret", "postgresql")["stringData"]["password"]
    second = render(DEVELOPMENT, name="other").get("Secret", "postgresql")["stringData"]["password"]

    assert first != second
