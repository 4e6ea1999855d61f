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
    """The rendered objects of a release."""

    texts: Mapping[str, str]

    @cached_property
    def objects(self) -> list[Object]:
        files = (text for path, text in sorted(self.texts.items()) if path.endswith(".yaml"))
        return [document for text in files for document in parse(text)]

    @property
    def notes(self) -> str:
        return self.texts["taskcore/templates/NOTES.txt"]

    def of_kind(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    def get(self, kind: str, component: str) -> Object:
        """Return the single object of this kind of a component."""
        (found,) = (one for one in self.of_kind(kind) if component_of(one) == component)
        return found

    def has(self, kind: str, component: str) -> bool:
        return any(component_of(one) == component for one in self.of_kind(kind))

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Yield each pod or pod template with its component."""
        for one in self.objects:
            if one["kind"] == "Pod":
                yield component_of(one), one
            elif "template" in one.get("spec", {}):
                yield component_of(one), one["spec"]["template"]

    def config(self, service: str) -> dict[str, Any]:
        """Return the settings in a service's configuration file."""
        data: dict[str, Any] = yaml.safe_load(self.get("ConfigMap", service)["data"]["taskcore.yaml"])
        return data


@cache
def parse(text: str) -> list[Object]:
    """Parse a rendered file. Most files are the same for many values, so each text is parsed once."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def component_of(one: Object) -> str:
    component: str = one["metadata"]["labels"]["app.kubernetes.io/component"]
    return component


def merge_values(*layers: Values) -> Values:
    """Merge the layers recursively; later ones take precedence."""
    result: Values = {}
    for layer in layers:
        for key, value in layer.items():
            before = result.get(key)
            result[key] = merge_values(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result


def set_value(path: str, value: Any) -> Values:
    """Return the values of `--set path=value`."""
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
    """Load the chart. Rendering removes disabled subcharts, so each needs a new load."""
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
