"""Reading the `/metrics` page."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


def parse_series(text: str) -> dict[str, float]:
    """Return the value of each series by `name{value,…}`, with label values in the order of the label names."""
    return {
        f"{sample.name}{{{','.join(value for _, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(url: str) -> str:
    response = httpx.get(f"{url}/metrics", trust_env=False, timeout=30)
    assert response.status_code == 200, response.text
    return response.text
