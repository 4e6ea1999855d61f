"""The official Kubernetes client for events: reading in either API group, writing in core/v1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config

from tests.collector_k8s.fakes.event_json import CORE_V1, Event, as_core_v1


class OfficialClient:
    """A client that reads its kubeconfig once."""

    def __init__(self, kubeconfig: Path, group: str = CORE_V1) -> None:
        configuration = client.Configuration()
        configuration.retries = False
        config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        self._client = client.ApiClient(configuration)
        self.core = client.CoreV1Api(self._client)
        self._events = self.core if group == CORE_V1 else client.EventsV1Api(self._client)

    def close(self) -> None:
        self._client.close()

    def list(self, namespace: str | None = None, **query: Any) -> dict[str, Any]:
        """Return a list, or one page of it, as JSON."""
        response = self._request(namespace, **{"_request_timeout": 30, **query})
        document: dict[str, Any] = json.loads(response.data)
        return document

    @contextmanager
    def watch(
        self, namespace: str | None = None, read_timeout_s: float = 30, **query: Any
    ) -> Iterator[Iterator[Event]]:
        """Yield the events of a watch until it ends."""
        response = self._request(namespace, watch=True, _request_timeout=(5, read_timeout_s), **query)
        try:
            yield (json.loads(line) for line in _lines(response.stream(amt=None)))
        finally:
            response.close()

    def create(self, event: Event) -> Event:
        return self._stored(self.core.create_namespaced_event(event["metadata"]["namespace"], event))

    def replace(self, event: Event) -> Event:
        metadata = event["metadata"]
        return self._stored(self.core.replace_namespaced_event(metadata["name"], metadata["namespace"], event))

    def delete(self, event: Event) -> None:
        self.core.delete_namespaced_event(event["metadata"]["name"], event["metadata"]["namespace"])

    def _request(self, namespace: str | None, **query: Any) -> Any:
        if namespace is None:
            return _checked(self._events.list_event_for_all_namespaces(_preload_content=False, **query))
        return _checked(self._events.list_namespaced_event(namespace, _preload_content=False, **query))

    def _stored(self, model: Any) -> Event:
        return as_core_v1(self._client.sanitize_for_serialization(model))


def _checked(response: Any) -> Any:
    """Raises: ApiException: the request was refused, which the client does not check for raw responses."""
    if response.status >= 300:
        raise client.ApiException(http_resp=response)
    return response


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
