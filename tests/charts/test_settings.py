"""The services' own loader accepts the settings of the chart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import helm_python
import pytest

from taskcore.settings import Settings, load_settings
from tests.charts.rendering import ROOT, SERVICES, Release, Values, render, set_value
from tests.charts.samples import EVERYTHING, PRODUCTION, VALUE_SETS

#: What a Secret has, by its key.
SECRETS = {
    "database_url": "postgresql://taskcore:secret@db/taskcore",
    "amqp_url": "amqp://taskcore:secret@mq/%2F",
    "tracing__headers": '{"authorization": "Bearer secret"}',
}
FILES = {"smtp__password": "secret", "databases": '{"shop": {"url": "postgresql://shop"}}'}


def loaded(rendered: Release, service: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Load the settings of a service as in its pod."""
    for name in [name for name in os.environ if name.startswith("TASKCORE_")]:
        monkeypatch.delenv(name)
    (directory / "taskcore.yaml").write_text(rendered.get("ConfigMap", service)["data"]["taskcore.yaml"])
    (container,) = rendered.get("Deployment", service)["spec"]["template"]["spec"]["containers"]
    mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    for one in container["env"]:
        value = one.get("value") or SECRETS[one["valueFrom"]["secretKeyRef"]["key"]]
        if one["name"] == "TASKCORE_CONFIG":
            assert (value, mounted["/etc/taskcore"]) == ("/etc/taskcore/taskcore.yaml", "config")
            value = str(directory / "taskcore.yaml")
        if one["name"] == "TASKCORE_SECRETS_DIR":
            assert mounted[value] == "secrets"
            value = _secrets(directory)
        monkeypatch.setenv(one["name"], value)
    return load_settings()


def _secrets(directory: Path) -> str:
    """Create a directory as Kubernetes mounts a Secret: links into a hidden directory."""
    (directory / "secrets/..2026").mkdir(parents=True)
    (directory / "secrets/..data").symlink_to("..2026")
    for name, text in FILES.items():
        (directory / "secrets/..2026" / name).write_text(text)
        (directory / "secrets" / name).symlink_to(f"..data/{name}")
    return str(directory / "secrets")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_service_accepts_its_settings(
    values: str, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(render(VALUE_SETS[values]), service, tmp_path, monkeypatch)

    assert (settings.log.level, settings.log.format) == ("info", "json")
    assert settings.database_url.get_secret_value() == SECRETS["database_url"]


def test_values_become_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render(
        EVERYTHING,
        set_value("worker.graceSeconds", 90.5),
        set_value("worker.threads", 3),
        set_value("worker.processes", 5),
    )

    settings = loaded(rendered, "worker", tmp_path, monkeypatch)

    assert (settings.worker.grace_s, settings.worker.threads, settings.worker.processes) == (90.5, 3, 5)
    assert settings.worker.queues == ("default", "mail")
    assert settings.http.max_body_bytes == 200_000
    assert settings.retention.succeeded_s == 86_400
    assert settings.trace_url_template == "https://jaeger.example.com/trace/{trace_id}"
    assert settings.tracing.endpoint == "http://jaeger:4318"
    assert settings.tracing.query_url == "https://jaeger/api/v3/traces/{trace_id}"
    assert settings.tracing.headers["authorization"].get_secret_value() == "Bearer secret"
    assert settings.smtp.password is not None
    assert set(settings.databases) == {"shop"}


def test_event_collector_gets_cluster_and_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render(EVERYTHING, set_value("collector-k8s.cluster", "shop.eu"))

    settings = loaded(rendered, "collector-k8s", tmp_path, monkeypatch).kubernetes

    assert (settings.cluster, settings.namespaces, settings.read_pods) == ("shop.eu", ("shop", "mail"), True)


def test_defaults_of_the_chart_match_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render(PRODUCTION)

    for service in SERVICES:
        settings = loaded(rendered, service, tmp_path, monkeypatch)
        own = {"database_url", "amqp_url", "log"}

        assert settings.model_dump(exclude=own) == Settings.model_construct().model_dump(exclude=own), service


@pytest.mark.parametrize("values", VALUE_SETS)
def test_taskcore_variables_are_settings(values: str) -> None:
    known = {*(ROOT / "docs/settings.md").read_text().split("`"), "TASKCORE_CONFIG", "TASKCORE_SECRETS_DIR"}

    names = {
        variable["name"]
        for _, pod in render(VALUE_SETS[values]).pods()
        for container in pod["spec"]["containers"]
        for variable in container.get("env", [])
    }

    assert {name for name in names if name.startswith("TASKCORE_")} <= known


def test_config_of_a_service_overrides_the_global_one_for_it_alone() -> None:
    rendered = render(
        PRODUCTION,
        set_value("global.config.smtp", {"host": "mail", "port": 587}),
        set_value("worker.config.smtp.host", "other"),
    )

    assert rendered.config("worker")["smtp"] == {"host": "other", "port": 587}
    assert rendered.config("api")["smtp"] == {"host": "mail", "port": 587}


@pytest.mark.parametrize("number", [1_000_000, 31_536_000, 0.25])
def test_numbers_stay_numbers(number: float) -> None:
    """Helm writes a million as 1e+06, which YAML reads as text."""
    rendered = render(PRODUCTION, set_value("global.config.retention.history_s", number))

    assert rendered.config("coordinator")["retention"] == {"history_s": number}


def test_changed_settings_restart_the_affected_services() -> None:
    def checksums(*values: Values) -> dict[str, str]:
        deployments = render(PRODUCTION, *values).of_kind("Deployment")
        return {
            one["metadata"]["name"]: one["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for one in deployments
        }

    before, of_one, of_all = (
        checksums(),
        checksums(set_value("worker.threads", 9)),
        checksums(set_value("global.log.level", "debug")),
    )

    assert {name for name in before if before[name] != of_one[name]} == {"demo-taskcore-worker"}
    assert {name for name in before if before[name] != of_all[name]} == set(before)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("worker.config.worker.grace_s", 60, "use the value worker.graceSeconds instead"),
        ("global.config.log.level", "debug", "use the value global.log.level instead"),
        ("global.config.worker.threads", 4, "use the value worker.threads instead"),
        ("api.config.api.drain_s", 0, "use the value api.drainSeconds instead"),
        ("global.config.tracing.endpoint", "http://a", "use the value global.tracing.endpoint instead"),
        ("global.config.database_url", "postgresql://a", "comes from a Secret: global.database.existingSecret"),
        ("global.config.database_direct_url", "postgresql://a", "comes from a Secret: global.database.directKey"),
        ("worker.config.amqp_url", "amqp://a", "comes from a Secret: global.amqp.existingSecret"),
        ("worker.config.databases.shop.url", "postgresql://a", "name it as settingsSecret of the service"),
        ("global.config.smtp.password", "a", "under the key smtp__password"),
        ("global.config.tracing.headers.a", "b", "name it as global.tracing.headersSecret"),
        ("api.config.api.port", 80, "the chart's Service and policies rely on 8080"),
        ("collector-analytics.config.worker.grace_s", 60, "which the chart sets itself: it is not configurable."),
        ("global.config.health.port", 80, "the chart's probes and policies rely on 5050"),
    ],
)
def test_misplaced_setting_is_rejected_with_its_place(path: str, value: object, sentence: str) -> None:
    tracing = set_value("global.tracing.endpoint", "http://jaeger:4318")

    with pytest.raises(helm_python.HelmError) as refused:
        render(PRODUCTION, tracing, set_value(path, value))

    assert sentence in str(refused.value)


def test_duplicate_variable_is_rendered_once() -> None:
    """The last one wins: a cluster rejects duplicate names."""
    rendered = render(
        PRODUCTION,
        set_value(
            "global.extraEnv",
            [{"name": "A", "value": "1"}, {"name": "TASKCORE_DATABASE_URL", "value": "postgresql://a"}],
        ),
        set_value("worker.extraEnv", [{"name": "A", "value": "2"}]),
    )

    given = {
        component: [(one["name"], one.get("value")) for one in pod["spec"]["containers"][0].get("env", [])]
        for component, pod in rendered.pods()
    }

    assert given["api"][1:] == [("TASKCORE_DATABASE_URL", "postgresql://a"), ("A", "1")]
    assert given["migrate"] == [("TASKCORE_DATABASE_URL", "postgresql://a"), ("A", "1")]
    assert [value for name, value in given["worker"] if name == "A"] == ["2"]


def test_no_config_contains_a_secret() -> None:
    texts = json.dumps([one["data"] for one in render(EVERYTHING).of_kind("ConfigMap")])

    assert not [word for word in ("password", "secret", "authorization") if f'"{word}' in texts.lower()]
