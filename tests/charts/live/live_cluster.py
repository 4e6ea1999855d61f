"""A cluster that Helm's `lookup` asks while it renders: an HTTP server with the objects that a test names."""

from __future__ import annotations

import json
from typing import Any

import helm_python
import yaml

from harness.http_server import HttpServer, Response
from tests.charts.rendering import Object, Release, Values, load_chart, merge_values

NAMESPACE = "tasks"
#: The plural of each kind that the chart looks up, by group version.
RESOURCES = {
    "v1": {"Secret": "secrets", "ServiceAccount": "serviceaccounts"},
    "apps/v1": {"Deployment": "deployments"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "keda.sh/v1alpha1": {"ScaledObject": "scaledobjects"},
}


class LiveCluster:
    """Has the namespace `tasks` with its default ServiceAccount, and whatever is added."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._serve("/api", {"kind": "APIVersions", "versions": ["v1"]})
        self._serve("/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        for version, kinds in RESOURCES.items():
            self._serve(
                _root(version), {"kind": "APIResourceList", "groupVersion": version, "resources": _listed(kinds)}
            )
        self.add("v1", "ServiceAccount", "default")

    def add(self, version: str, kind: str, name: str, **members: Any) -> None:
        metadata = {"name": name, "namespace": NAMESPACE} | members.pop("metadata", {})
        path = f"{_root(version)}/namespaces/{NAMESPACE}/{RESOURCES[version][kind]}/{name}"
        self._serve(path, {"kind": kind, "apiVersion": version, "metadata": metadata, **members})

    def add_secret(self, name: str, *keys: str) -> None:
        self.add("v1", "Secret", name, data=dict.fromkeys(keys, "eA=="))

    def upgrade(self, *layers: Values) -> Release:
        """Render the chart for an upgrade of the release `demo` in this cluster. Raises `HelmError`."""
        with helm_python.Config(kubeconfig_content=self._kubeconfig(), namespace=NAMESPACE) as config:
            texts = config.render(
                load_chart(), merge_values(*layers), name="demo", namespace=NAMESPACE, is_upgrade=True, revision=2
            )
        return Release(texts)

    def _serve(self, path: str, answer: Object) -> None:
        body = json.dumps(answer).encode()
        self._server.on("GET", path, Response(200, body, {"Content-Type": "application/json"}))

    def _kubeconfig(self) -> str:
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "fake", "cluster": {"server": self._server.url}}],
                "users": [{"name": "fake", "user": {}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                "current-context": "fake",
            }
        )


def _root(version: str) -> str:
    return "/api/v1" if version == "v1" else f"/apis/{version}"


def _listed(kinds: dict[str, str]) -> list[Object]:
    return [
        {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
        for kind, plural in kinds.items()
    ]
