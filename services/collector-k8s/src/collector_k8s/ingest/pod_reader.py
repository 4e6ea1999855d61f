"""Reading pods, which the API server may refuse, or may not have any more."""

from __future__ import annotations

import time
from typing import TypeVar

import msgspec
import structlog

from collector_k8s.cluster.client import ClusterClient, ClusterError
from taskcore.errors import TaskcoreError

RETRY_AFTER_S = 30.0

Pod = TypeVar("Pod")

log = structlog.stdlib.get_logger(__name__)


class PodUnreadable(TaskcoreError):
    """The pod cannot be read at the moment."""


class PodReader:
    """After a refused request, no pod is read for a while. Thread-safe."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._retry_at = 0.0

    def read(self, namespace: str, name: str, kind: type[Pod]) -> Pod | None:
        """Return the pod as a `kind` of struct, or None when there is no such pod. Raises `PodUnreadable`."""
        if time.monotonic() < self._retry_at:
            raise PodUnreadable
        try:
            return msgspec.json.decode(self._cluster.read_pod(namespace, name), type=kind)
        except ClusterError as exc:
            if exc.status == 404:
                return None
            self._retry_at = time.monotonic() + RETRY_AFTER_S
            raise _unreadable(namespace, name, exc) from exc
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise _unreadable(namespace, name, exc) from exc


def _unreadable(namespace: str, name: str, error: Exception) -> PodUnreadable:
    log.warning("pod.lookup_failed", namespace=namespace, pod=name, error=str(error))
    return PodUnreadable()
