"""A metric from a number in a JSON document, which is fetched over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import msgspec

from taskcore.metrics import Metric, MetricContext, MetricSource, Sample
from taskcore.plugins.network.guarded_client import http_client
from taskcore.settings import CounterMetric

#: The operator has set the address, so it may be in an internal network.
ANY_NETWORK = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


class CounterSource(MetricSource):
    """Fetches one configured document."""

    def __init__(self, metric: str, counter: CounterMetric) -> None:
        self.name = f"counter:{metric}"
        self._metric = metric
        self._counter = counter

    def describe(self) -> Iterable[Metric]:
        return [Metric(self._metric, self._counter.description)]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """Return one sample for a number, or one for each member of an object that is not null."""
        found = resolve_pointer(self._document(ctx), self._counter.pointer)
        if isinstance(found, dict):
            label = self._counter.label
            members = {name: value for name, value in found.items() if value is not None}
            return [Sample(self._metric, _number(value), {label: name}) for name, value in members.items()]
        return [Sample(self._metric, _number(found))]

    def _document(self, ctx: MetricContext) -> Any:
        http = ctx.settings.http.model_copy(update={"allowed_networks": ANY_NETWORK, "denied_networks": ()})
        headers = {name: value.get_secret_value() for name, value in self._counter.headers.items()}
        with (
            http_client(http, ctx.task.cancellation, self._counter.timeout_s) as client,
            client.stream("GET", self._counter.url, headers=headers) as response,
        ):
            if not response.is_success:
                raise ConnectionError(f"the address returned status {response.status_code}")
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > http.max_body_bytes:
                    raise ValueError(f"the document is longer than {http.max_body_bytes} bytes")
            return msgspec.json.decode(body)


def resolve_pointer(document: Any, pointer: str) -> Any:
    """Return the value that the JSON pointer (RFC 6901) refers to. Raises `LookupError` when there is none."""
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and ARRAY_INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            raise LookupError(f"the document has no value at {pointer!r}")
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("the pointer refers to neither a number nor an object of numbers")
    return float(value)
