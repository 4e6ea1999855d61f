"""The chart, rendered by Helm's own library. Each set of values is rendered once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/taskcore"
SERVICES = ("api", "coordinator", "worker", "collector-analytics", "collector-k8s")

Values = dict[str, Any]
Object = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """What a release would consist of."""

    texts: Mapping[str, str]

    @cached_property
    def objects(self) -> list[Object]:
        files = (text for path, text in sorted(self.texts.items()) if path.endswith(".yaml"))
        return [document for text in files for document in yaml.load_all(text, yaml.CSafeLoader) if document]

    @property
    def notes(self) -> str:
        return self.texts["taskcore/templates/NOTES.txt"]

    def of_kind(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    def get(self, kind: str, component: str) -> Object:
        """The only object of that kind that belongs to a component."""
        (found,) = (one for one in self.of_kind(kind) if component_of(one) == component)
        return found

    def has(self, kind: str, component: str) -> bool:
        return any(component_of(one) == component for one in self.of_kind(kind))

    def pods(self) -> Iterator[tuple[str, Object]]:
        """All of them, with their components: metadata and spec of pods and of templates for them."""
        for one in self.objects:
            if one["kind"] == "Pod":
                yield component_of(one), one
            elif "template" in one.get("spec", {}):
                yield component_of(one), one["spec"]["template"]

    def config(self, service: str) -> dict[str, Any]:
        """The settings that a service finds in its file."""
        data: dict[str, Any] = yaml.safe_load(self.get("ConfigMap", service)["data"]["taskcore.yaml"])
        return data


def component_of(one: Object) -> str:
    component: str = one["metadata"]["labels"]["app.kubernetes.io/component"]
    return component


def merge_values(*layers: Values) -> Values:
    """The later ones beat the earlier."""
    result: Values = {}
    for layer in layers:
        for key, value in layer.items():
            before = result.get(key)
            result[key] = merge_values(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result


def set_value(path: str, value: Any) -> Values:
    """`at("api.replicas", 3)` is what `--set api.replicas=3` gives."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def render(*layers: Values, name: str = "demo", namespace: str = "tasks", revision: int = 1) -> Release:
    """Render the chart with the merged values.

    Raises:
        HelmError: Helm rejects the values; the message says why.
    """
    return _render(json.dumps(merge_values(*layers), sort_keys=True), name, namespace, revision)


def load_chart() -> helm_python.Chart:
    """Loaded anew, for rendering takes the parts that are off out of it."""
    return helm_python.Chart.load(CHART)


@cache
def _render(values: str, name: str, namespace: str, revision: int) -> Release:
    with load_chart() as loaded:
        texts = loaded.render(
            json.loads(values),
            name=name,
            namespace=namespace,
            revision=revision,
            is_install=revision == 1,
            is_upgrade=revision > 1,
        )
    return Release(texts)
