"""The pages of a list of events."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from collector_k8s.cluster.client import ClusterClient, ClusterError


class ListMeta(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class EventPage(Struct):
    """One page. `metadata.resource_version` is the same on every page of a list: a watch can start from it."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


def list_pages(cluster: ClusterClient, scope: str) -> Iterator[EventPage]:
    """Yield all pages. After an error, the caller has to start again with the first page.

    Raises:
        ClusterError
    """
    token: str | None = None
    while True:
        page = _decode_page(cluster.list_events(scope, token))
        yield page
        token = page.metadata.continue_
        if not token:
            return


def _decode_page(body: bytes) -> EventPage:
    try:
        return _page_decoder.decode(body)
    except msgspec.DecodeError as exc:
        raise ClusterError(f"cannot decode the list: {exc}") from exc


_page_decoder = msgspec.json.Decoder(EventPage)
