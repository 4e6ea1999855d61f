"""Reading what `/metrics` answers."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


def parse_series(text: str) -> dict[str, float]:
    """The value of each series, as `name{value,…}` with the labels' values in the order of their names."""
    return {
        f"{sample.name}{{{','.join(value for _, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(url: str) -> str:
    response = httpx.get(f"{url}/metrics", trust_env=False, timeout=30)
    assert response.status_code == 200, response.text
    return response.text
