"""All the events that there are, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from collector_k8s.cluster.client import ClusterClient, ClusterError


class ListMeta(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class EventPage(Struct):
    """`metadata.resource_version` is the same on each page of a list: what a watch can go on from."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


def list_pages(cluster: ClusterClient, scope: str) -> Iterator[EventPage]:
    """To be begun again from the first page if any of them cannot be had.

    Raises:
        ClusterError
    """
    token: str | None = None
    while True:
        page = _page(cluster.list_events(scope, token))
        yield page
        token = page.metadata.continue_
        if not token:
            return


def _page(body: bytes) -> EventPage:
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as exc:
        raise ClusterError(f"The list cannot be read: {exc}") from exc


_decoder = msgspec.json.Decoder(EventPage)
