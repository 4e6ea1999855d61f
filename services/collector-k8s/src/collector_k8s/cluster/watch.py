"""One watch request and the events in its stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec import Struct
from urllib3 import HTTPResponse

from collector_k8s.cluster.client import ClusterClient, ClusterError, error_from_status, translate_errors

CHUNK_BYTES = 64 * 1024

T = TypeVar("T")


class WatchEvent(Struct):
    """One line of the stream. `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: msgspec.Raw


class _Metadata(Struct, rename="camel"):
    resource_version: str = ""


class _VersionedObject(Struct):
    metadata: _Metadata


class _Status(Struct):
    code: int | None = None
    message: str = ""


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
    """Return the resource version of an object or of a bookmark, without decoding the rest."""
    return _decode(raw, _version_decoder).metadata.resource_version


def _decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as exc:
        raise ClusterError(f"cannot decode the watch: {exc}") from exc


_event_decoder = msgspec.json.Decoder(WatchEvent)
_version_decoder = msgspec.json.Decoder(_VersionedObject)
_status_decoder = msgspec.json.Decoder(_Status)
