"""One watch: its lines, as what they tell."""

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
    """`type`: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: msgspec.Raw


class _Metadata(Struct, rename="camel"):
    resource_version: str = ""


class _Versioned(Struct):
    metadata: _Metadata


class _Status(Struct):
    code: int | None = None
    message: str = ""


class Watch:
    """`close` may be called by another thread: whoever waits for the next line is told that the stream is over."""

    def __init__(self, cluster: ClusterClient, scope: str, version: str) -> None:
        self._response: HTTPResponse = cluster.watch_events(scope, version)

    def __iter__(self) -> Iterator[WatchEvent]:
        """Until the server ends it, as it does every few minutes.

        Raises:
            Expired: what happened after the version is not known any more.
            ClusterError: an error in the stream, a connection that broke, or one that fell silent.
        """
        for line in self._lines():
            told = _decode(line, _told)
            if told.type == "ERROR":
                status = _decode(told.object, _status)
                raise error_from_status(status.code, status.message)
            yield told

    def close(self) -> None:
        with suppress(Exception):  # it is closed already, or is just being
            self._response.shutdown()

    def release(self) -> None:
        """By the thread that reads it."""
        with suppress(Exception):
            self._response.close()

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        with translate_errors():
            while data := self._response.read1(CHUNK_BYTES):
                *lines, pending = (pending + data).split(b"\n")
                yield from filter(None, lines)


def resource_version_of(raw: msgspec.Raw) -> str:
    """The version of an object, or of a bookmark, of which nothing else is of interest."""
    return _decode(raw, _versioned).metadata.resource_version


def _decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as exc:
        raise ClusterError(f"The watch cannot be read: {exc}") from exc


_told = msgspec.json.Decoder(WatchEvent)
_versioned = msgspec.json.Decoder(_Versioned)
_status = msgspec.json.Decoder(_Status)
