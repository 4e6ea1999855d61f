"""Requests to a cluster's API server: list and watch events, read pods. Responses are returned as undecoded JSON.

Every request has a timeout on both sides, so that a server that stops sending is noticed whatever the state of the
connection.
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
from collector_k8s.cluster.tls import set_strictness
from taskcore.errors import TaskcoreError, first_line
from taskcore.settings import KubernetesSettings

CONNECT_TIMEOUT_S = 5.0
LIST_TIMEOUT_S = 60
READ_POD_TIMEOUT_S = 5.0
MAX_MESSAGE_LENGTH = 500
#: The error message for a resource version from the future.
TOO_LARGE_VERSION = "Too large resource version"

log = structlog.stdlib.get_logger(__name__)


class ClusterError(TaskcoreError):
    """The API server could not be reached, or refused the request.

    `status` is the HTTP status, `None` without a response. `retry_after_s` is the wait that the server asked for.
    """

    def __init__(
        self, message: str | None = None, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class ReadTimedOut(ClusterError):
    """The API server sent nothing within the read timeout."""


class ResourceExpired(ClusterError):
    """The API server does not know the resource version or the page token of the request any more, or not yet."""


class ClusterClient:
    """A thread-safe client for one cluster. In all methods, the `scope` is a namespace; empty means all namespaces.

    Its constructor raises `NoClusterConfigured` and `UnusableKubeconfig`, as `load_configuration` does.
    """

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client = self._new_client()

    def list_events(self, scope: str, continue_token: str | None = None) -> bytes:
        """Return the first page of events, or the page that `continue_token` names."""
        query: dict[str, Any] = {"limit": self._settings.page_size, "timeout_seconds": LIST_TIMEOUT_S}
        if continue_token:
            query["_continue"] = continue_token
        with self._request() as client:
            return _body(self._list_or_watch(client, scope, query))

    def list_since(self, scope: str, resource_version: str) -> bytes:
        """Return a page of one event from a list that is not older than `resource_version`.

        Raises `ResourceExpired` if the cluster has not reached the version.
        """
        query = {"limit": 1, "resource_version": resource_version, "resource_version_match": "NotOlderThan"}
        with self._request() as client:
            return _body(self._list_or_watch(client, scope, query | {"timeout_seconds": LIST_TIMEOUT_S}))

    def watch_events(self, scope: str, resource_version: str) -> HTTPResponse:
        """Return a stream of the changes after `resource_version`, one JSON document per line. The caller closes it.

        The server ends the stream after `bookmark_interval_s` at the latest. By default it sends no bookmarks for
        events, so this end is the only sign of life of a quiet cluster (kubernetes/kubernetes#120348).
        """
        lifetime_s = min(self._settings.watch_timeout_s, self._settings.bookmark_interval_s)
        query = {
            "watch": True,
            "allow_watch_bookmarks": True,
            "resource_version": resource_version,
            "timeout_seconds": max(1, math.ceil(lifetime_s)),
        }
        with self._request() as client:
            return self._list_or_watch(client, scope, query)

    def read_pod(self, namespace: str, name: str) -> bytes:
        timeouts = (CONNECT_TIMEOUT_S, READ_POD_TIMEOUT_S)
        with self._request() as client:
            read = CoreV1Api(client).read_namespaced_pod
            return _body(read(name, namespace, _preload_content=False, _request_timeout=timeouts))

    def close(self) -> None:
        self._client.close()

    def _list_or_watch(self, client: ApiClient, scope: str, query: dict[str, Any]) -> HTTPResponse:
        api = CoreV1Api(client) if self._settings.api == "v1" else EventsV1Api(client)
        if self._settings.field_selector is not None:
            query["field_selector"] = self._settings.field_selector
        query["_preload_content"] = False
        query["_request_timeout"] = (CONNECT_TIMEOUT_S, 2 * self._settings.bookmark_interval_s)
        response: HTTPResponse = (
            api.list_namespaced_event(scope, **query) if scope else api.list_event_for_all_namespaces(**query)
        )
        return response

    @contextmanager
    def _request(self) -> Iterator[ApiClient]:
        client = self._client
        try:
            with translate_errors():
                yield client
        except ClusterError as exc:
            if exc.status == 401:
                self._reload_credentials(client)
            raise

    def _reload_credentials(self, refused: ApiClient) -> None:
        """Replace the `refused` client, since tokens expire and their files are rewritten.

        Does nothing when another thread has replaced that client already.
        """
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
        except (OSError, ValueError) as exc:  # a certificate file is missing or invalid
            raise UnusableKubeconfig(str(exc)) from exc
        set_strictness(client, self._settings.strict_certificates)
        client.user_agent = "taskcore-collector-k8s"
        return client


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the errors of the Kubernetes client and of the connection as `ClusterError`."""
    try:
        yield
    except ApiException as exc:
        retry_after = (exc.headers or {}).get("Retry-After")
        raise error_from_status(exc.status or None, exc.body or str(exc.reason), retry_after) from exc
    except ReadTimeoutError as exc:
        raise ReadTimedOut from exc
    except (HTTPError, OSError) as exc:
        raise ClusterError(first_line(exc)) from exc


def error_from_status(status: int | None, body: str, retry_after: str | None = None) -> ClusterError:
    """Return the error for a refusal, given as an HTTP response or as a `Status` object in a watch."""
    message = _message(body)
    if status == 410 or TOO_LARGE_VERSION in message:
        return ResourceExpired(message, status)
    return ClusterError(message, status, _parse_retry_after(retry_after))


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
    return str(status.get("message") or body)[:MAX_MESSAGE_LENGTH]


def _parse_retry_after(header: str | None) -> float | None:
    """Parse the header as seconds: Kubernetes never sends a date."""
    return float(header) if header and header.isascii() and header.isdecimal() else None
