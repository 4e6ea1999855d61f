"""Unknown values are rejected: a typo by its name, a value of other charts with its equivalent here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from taskcore.settings import Settings
from tests.charts.rendering import CHART, SERVICES, Values, merge_values, render, set_value
from tests.charts.samples import DEVELOPMENT, PRODUCTION

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
MOVED = yaml.safe_load((CHART / "files/misplaced_values.yaml").read_text())
#: What each service takes, and values.yaml shows at the worker alone.
ONLY_ON_WORKER = {
    *("image", "settingsSecret", "config", "extraEnv", "extraVolumes", "extraVolumeMounts", "podLabels"),
    *("podAnnotations", "nodeSelector", "tolerations", "affinity", "priorityClassName", "serviceAccountAnnotations"),
    "extraEgress",
}
#: Of the services: Helm's own.
IMPLIED = {"global"}

TYPOS = [
    *("wroker.replicas", "global.databse.existingSecret", "global.database.existingSecrets", "global.image.tags"),
    *("api.replica", "api.ingress.hosts", "worker.keda.enable", "worker.grace_s", "collector-k8s.namespace"),
    *("coordinator.autoscaling.enabled", "collector-analytics.keda.enabled", "global.networkPolicy.enable"),
    *("global.monitoring.serviceMonitor", "migrations.enable", "test.timeout", "postgresql.size", "rabbitmq.tag"),
    "global.tracing.endpont",
]
WRONG = {
    "api.replicas": "2",
    "api.enabled": "yes",
    "api.image": {"tag": "1.2.3"},
    "worker.threads": 0,
    "worker.graceSeconds": 0,
    "worker.queues": "default",
    "global.image.pullPolicy": "always",
    "global.image.tag": "not a tag",
    "global.log.level": "verbose",
    "global.tracing.sampleRatio": 2,
    "global.tracing.endpoint": "jaeger:4318",
    "global.traceUrlTemplate": "https://jaeger.example.com",
    "global.networkPolicy.databasePort": "5432",
    "collector-k8s.namespaces": ["Shop"],
    "postgresql.storage": "2 GB",
    "worker.extraEnv": [{"key": "A", "value": "b"}],
    "worker.config.smtp": "mail",
    "worker.resources.limits.memory": "1GB",
    "api.autoscaling.maxReplicas": 10**12,
    "migrations.deadlineSeconds": 10**19,
}
#: Typos deeper down, in what is Kubernetes' own. A rule with none of its members lets everything through.
DEEPER: dict[str, tuple[Any, str]] = {
    "worker.extraEgress": ([{"too": []}], "too"),
    "global.networkPolicy.apiFrom": ([{"podSelektor": {}}], "podSelektor"),
    "global.networkPolicy.metricsFrom": ([{"podSelector": {"matchLabel": {}}}], "matchLabel"),
    "global.networkPolicy.databaseTo": ([{"ipblock": {}}], "ipblock"),
    "global.networkPolicy.amqpTo": ([{"ipBlock": {"cidr": "10.0.0.0/8", "exept": []}}], "exept"),
    "global.tolerations": ([{"keyy": "a"}], "keyy"),
    "worker.affinity": ({"nodeAfinity": {}}, "nodeAfinity"),
    "worker.extraVolumes": ([{"name": "a", "emptydir": {}}], "emptydir"),
    "worker.extraVolumeMounts": ([{"name": "a", "mountPath": "/a", "readonly": True}], "readonly"),
    "worker.extraEnv": ([{"name": "A", "valueFrom": {"secretKeyRfe": {}}}], "secretKeyRfe"),
    "worker.resources.limits": ({"memroy": "1Gi"}, "memroy"),
    "global.config": ({"smpt": {}}, "smpt"),
    "taskcore-lib": ({"image": "a"}, "image"),
}


@pytest.mark.parametrize("typo", TYPOS)
def test_typo_is_rejected_by_name(typo: str) -> None:
    name = next(part for part in typo.split(".") if part not in _known_parts(typo))

    with pytest.raises(helm_python.HelmError, match=f"additional properties '{name}' not allowed"):
        render(PRODUCTION, set_value(typo, "x"))


@pytest.mark.parametrize("path", DEEPER)
def test_nested_typo_is_rejected(path: str) -> None:
    value, name = DEEPER[path]

    with pytest.raises(helm_python.HelmError, match=f"at '/{path.replace('.', '/')}.*'{name}'"):
        render(PRODUCTION, set_value(path, value))


def test_config_accepts_only_existing_settings() -> None:
    assert set(SCHEMA["definitions"]["settings"]["properties"]) == set(Settings.model_fields)


@pytest.mark.parametrize("path", ["worker", "coordinator", "migrations", "global.image.prefix", "worker.replicas"])
def test_removed_value_is_rejected(path: str) -> None:
    """`worker:` with all its lines commented out is null, which would be a worker without replicas."""
    with pytest.raises(helm_python.HelmError, match=rf"(missing propert|at '/{path.replace('.', '/')}': got null)"):
        render(PRODUCTION, set_value(path, None))


def test_values_in_the_file_are_required() -> None:
    """Except empty lists and maps: null is Helm's way to leave them out. Deeper in a service Helm keeps it."""
    required = {path: set(schema["required"]) for path, schema in _properties(SCHEMA) if "required" in _members(schema)}
    deeper = {f"global.{name}": value for name, value in VALUES["global"].items() if value and isinstance(value, dict)}

    sections = (VALUES | deeper).items()
    assert required == {path: {name for name in section if section[name] not in ([], {})} for path, section in sections}


def empty_values(section: Values, path: str = "") -> Iterator[str]:
    for name, value in section.items():
        if value in ([], {}):
            yield f"{path}{name}"
        elif isinstance(value, dict):
            yield from empty_values(value, f"{path}{name}.")


def test_null_leaves_an_empty_list_or_map_as_it_is() -> None:
    without: Values = merge_values(*(set_value(path, None) for path in empty_values(VALUES)))

    assert "collector-k8s.namespaces" in set(empty_values(VALUES))
    assert render(PRODUCTION, without).texts == render(PRODUCTION).texts


@pytest.mark.parametrize("path", WRONG)
def test_value_of_a_wrong_type_is_rejected_with_its_path(path: str) -> None:
    with pytest.raises(helm_python.HelmError, match=f"at '/{path.replace('.', '/')}"):
        render(PRODUCTION, set_value(path, WRONG[path]))


@pytest.mark.parametrize("path", MOVED)
def test_value_of_other_charts_fails_with_an_explanation(path: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        render(PRODUCTION, set_value(path, "x"))

    assert f"Unknown value {path}. {MOVED[path]}" in str(refused.value)


@pytest.mark.parametrize("value", [False, "", [], {"some": "thing"}, {}], ids=str)
def test_misplaced_value_fails_whatever_its_content(value: object) -> None:
    with pytest.raises(helm_python.HelmError, match=r"Unknown value postgresql\.enabled"):
        render(DEVELOPMENT, set_value("postgresql.enabled", value))


def test_schema_allows_only_unknown_values_with_an_explanation() -> None:
    passing = {path for path, schema in _properties(SCHEMA) if schema is True}

    assert passing - {"postgresql.global", "rabbitmq.global"} == set(MOVED)


def test_every_value_is_documented_and_every_object_is_closed() -> None:
    services = {f"{service}.{name}" for service in SERVICES if service != "worker" for name in ONLY_ON_WORKER}
    implied = {path for path, _ in _properties(SCHEMA) if path.rpartition(".")[2] in IMPLIED and path != "global"}
    possible = {path for path, schema in _properties(SCHEMA) if schema is not True} - implied
    shown = {path for path in possible if ".".join(path.split(".")[:2]) not in services}

    assert {path for path in shown if not _is_in(VALUES, path)} == {"taskcore-lib"}
    for path, schema in _properties(SCHEMA):
        assert schema is True or "properties" not in schema or schema["additionalProperties"] is False, path


def test_defaults_contain_no_password_and_start_no_database() -> None:
    assert VALUES["global"]["database"] == {
        "existingSecret": "",
        "key": "database_url",
        "directKey": "",
        "ownerKey": "",
        "development": False,
    }
    assert VALUES["global"]["amqp"] == {"existingSecret": "", "key": "amqp_url", "development": False}
    assert not [path for path, _ in _properties(SCHEMA) if "password" in path.lower() and _is_in(VALUES, path)]


def _properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each property with its schema, or True when the schema does not restrict it."""
    for name, inner in schema.get("properties", {}).items():
        if isinstance(inner, dict) and "$ref" in inner:
            inner = SCHEMA["definitions"][inner["$ref"].rpartition("/")[2]]
        yield f"{path}{name}", inner
        if isinstance(inner, dict):
            yield from _properties(inner, f"{path}{name}.")


def _members(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {}


def _known_parts(path: str) -> set[str]:
    known = {known for known, _ in _properties(SCHEMA)}
    parts = path.split(".")
    return {parts[n] for n in range(len(parts)) if ".".join(parts[: n + 1]) in known}


def _is_in(values: Values, path: str) -> bool:
    found: Any = merge_values(values)
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return found == {} or ".resources." in path
        found = found[part]
    return True
