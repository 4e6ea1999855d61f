"""The pages of a list of events, and the events in the stream of a watch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec import Struct
from urllib3 import HTTPResponse

from collector_k8s.cluster.client import ClusterClient, ClusterError, error_from_status, translate_errors

CHUNK_BYTES = 64 * 1024

T = TypeVar("T")


class Metadata(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class VersionedObject(Struct):
    metadata: Metadata


class EventPage(VersionedObject):
    """One page. `metadata.resource_version` is the same on every page of a list: a watch can start from it."""

    items: list[msgspec.Raw] | None = None


class WatchEvent(Struct):
    """One line of the stream. `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: msgspec.Raw


class _Status(Struct):
    code: int | None = None
    message: str = ""


def list_pages(cluster: ClusterClient, scope: str) -> Iterator[EventPage]:
    """Yield all pages. After a `ClusterError`, the caller has to start again with the first page."""
    token: str | None = None
    while True:
        page = _decode(cluster.list_events(scope, token), _page_decoder, "list")
        yield page
        token = page.metadata.continue_
        if not token:
            return


def version_since(cluster: ClusterClient, scope: str, resource_version: str) -> str:
    """Return the resource version of a list that is not older than the given one.

    Raises `ResourceExpired` if the cluster has not reached it.
    """
    return _decode(cluster.list_since(scope, resource_version), _page_decoder, "list").metadata.resource_version


class Watch:
    """A watch of `scope` that starts after a resource version."""

    def __init__(self, cluster: ClusterClient, scope: str, resource_version: str) -> None:
        self._response: HTTPResponse = cluster.watch_events(scope, resource_version)

    def __iter__(self) -> Iterator[WatchEvent]:
        """Yield the events until the server ends the stream, as it does every few minutes.

        Raises:
            ResourceExpired: the server no longer knows the changes after the resource version.
            ClusterError: the server sent an error, the connection broke, or nothing came within the read timeout.
        """
        for line in self._lines():
            event = _decode(line, _event_decoder)
            if event.type == "ERROR":
                status = _decode(event.object, _status_decoder)
                raise error_from_status(status.code, status.message)
            yield event

    def interrupt(self) -> None:
        """End the iteration in another thread, which may be waiting for the next line."""
        with suppress(Exception):  # the other thread may be closing it
            self._response.shutdown()

    def close(self) -> None:
        """Release the connection. Only the thread that iterates may call this."""
        with suppress(Exception):
            self._response.close()

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        with translate_errors():
            while data := self._response.read1(CHUNK_BYTES):
                *lines, pending = (pending + data).split(b"\n")
                yield from filter(None, lines)


def resource_version_of(raw: msgspec.Raw) -> str:
    """Return the resource version of an object or of a bookmark, without decoding the rest. Empty if it has none."""
    try:
        version = _version_decoder.decode(raw).metadata.resource_version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return version if version.isprintable() else ""


def _decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], source: str = "watch") -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return decoder.decode(_without_surrogates(bytes(raw)))
    except (ValueError, RecursionError) as exc:
        raise ClusterError(f"cannot decode the {source}: {exc}") from exc


def _without_surrogates(raw: bytes) -> bytes:
    """Replace lone surrogates in JSON, which msgspec refuses: one event that has some must not hide the others."""
    return json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", "replace")


_page_decoder = msgspec.json.Decoder(EventPage)
_event_decoder = msgspec.json.Decoder(WatchEvent)
_version_decoder = msgspec.json.Decoder(VersionedObject)
_status_decoder = msgspec.json.Decoder(_Status)
