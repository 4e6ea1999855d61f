"""Asking a cluster's API server, by the official client: lists, watches, pods. JSON comes as it is.

Each request has a limit on both sides: a server that falls silent is noticed, whatever becomes of the connection.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog
from kubernetes.client import ApiClient, CoreV1Api, EventsV1Api
from kubernetes.client.exceptions import ApiException
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError

from collector_k8s.cluster.kubeconfig import UnusableKubeconfig, load_configuration
from taskcore.errors import TaskcoreError, first_line
from taskcore.settings import KubernetesSettings

CONNECT_TIMEOUT_S = 5.0
LIST_TIMEOUT_S = 60
READ_POD_TIMEOUT_S = 5.0
#: What an API server says that was asked for a version that it has not seen yet: it is another, or was set back.
TOO_LARGE_VERSION = "Too large resource version"

log = structlog.stdlib.get_logger(__name__)


class ClusterError(TaskcoreError):
    """The API server did not answer, or refused. `status` is that of HTTP, if there was an answer."""

    def __init__(
        self, message: str | None = None, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class ReadTimedOut(ClusterError):
    """Nothing came for as long as one waits for it."""


class ResourceExpired(ClusterError):
    """The server does not know the version, or the page, that it was asked to go on from."""


class ClusterClient:
    """For any number of threads. Raises `NoCluster` or `Unusable` where it cannot be known how to reach it."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client = self._new_client()

    def list_events(self, scope: str, continue_token: str | None = None) -> bytes:
        """A page of those of the namespace `scope`, or of all."""
        given: dict[str, Any] = {"limit": self._settings.page_size, "timeout_seconds": LIST_TIMEOUT_S}
        if continue_token:
            given["_continue"] = continue_token
        with self._asking() as client:
            return _body(self._ask(client, scope, given))

    def watch_events(self, scope: str, resource_version: str) -> HTTPResponse:
        """A stream of what happened after `version`, a line each. It has to be closed.

        The server ends it after `bookmark_interval_s` at the latest: by default it has no bookmarks for events, so that this is
        the one sign of life of a cluster in which nothing happens (kubernetes/kubernetes#120348).
        """
        given = {
            "watch": True,
            "allow_watch_bookmarks": True,
            "resource_version": resource_version,
            "timeout_seconds": max(
                1, math.ceil(min(self._settings.watch_timeout_s, self._settings.bookmark_interval_s))
            ),
        }
        with self._asking() as client:
            return self._ask(client, scope, given)

    def read_pod(self, namespace: str, name: str) -> bytes:
        with self._asking() as client:
            pod = CoreV1Api(client).read_namespaced_pod
            return _body(
                pod(name, namespace, _preload_content=False, _request_timeout=(CONNECT_TIMEOUT_S, READ_POD_TIMEOUT_S))
            )

    def close(self) -> None:
        self._client.close()

    def _ask(self, client: ApiClient, scope: str, given: dict[str, Any]) -> HTTPResponse:
        group = CoreV1Api(client) if self._settings.api == "v1" else EventsV1Api(client)
        if self._settings.field_selector is not None:
            given["field_selector"] = self._settings.field_selector
        given |= {
            "_preload_content": False,
            "_request_timeout": (CONNECT_TIMEOUT_S, 2 * self._settings.bookmark_interval_s),
        }
        answer: HTTPResponse = (
            group.list_namespaced_event(scope, **given) if scope else group.list_event_for_all_namespaces(**given)
        )
        return answer

    @contextmanager
    def _asking(self) -> Iterator[ApiClient]:
        client = self._client
        try:
            with translate_errors():
                yield client
        except ClusterError as exc:
            if exc.status == 401:
                self._renew(client)
            raise

    def _renew(self, refused: ApiClient) -> None:
        """Tokens expire, and their files are written anew. Who asked with the same client finds it replaced already."""
        with self._lock:
            if self._client is not refused:
                return
            try:
                self._client = self._new_client()
            except TaskcoreError as exc:
                log.warning("cluster.credentials_reload_failed", error=str(exc))
                return
        refused.close()

    def _new_client(self) -> ApiClient:
        try:
            client = ApiClient(load_configuration(self._settings))
        except (OSError, ValueError) as exc:  # certificates that are not there, or are none
            raise UnusableKubeconfig(str(exc)) from exc
        client.user_agent = "taskcore-collector-k8s"
        return client


@contextmanager
def translate_errors() -> Iterator[None]:
    """The errors of the client, and of the connection, as `ClusterError`."""
    try:
        yield
    except ApiException as exc:
        raise error_from_status(
            exc.status or None, exc.body or str(exc.reason), (exc.headers or {}).get("Retry-After")
        ) from exc
    except ReadTimeoutError as exc:
        raise ReadTimedOut from exc
    except (HTTPError, OSError) as exc:
        raise ClusterError(first_line(exc)) from exc


def error_from_status(status: int | None, body: str, retry_after: str | None = None) -> ClusterError:
    """What the server said, in an answer or in a stream."""
    message = _message(body)
    if status == 410 or TOO_LARGE_VERSION in message:
        return ResourceExpired(message, status)
    return ClusterError(message, status, _seconds(retry_after))


def _body(response: HTTPResponse) -> bytes:
    try:
        return response.read()
    finally:
        response.release_conn()


def _message(body: str) -> str:
    try:
        status = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        status = {}
    return str(status.get("message") or body)[:500]


def _seconds(retry_after: str | None) -> float | None:
    """Kubernetes gives seconds, never a date."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdecimal() else None
