"""The HTML page of a task's traces, parsed without a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx
import pytest

from harness.http_server import HttpServer, Response
from taskapi.traces.waterfall import format_duration
from taskcore.settings import TracingSettings
from tests.taskapi.api_helpers import Database, submit
from tests.taskapi.traces import trace_helpers
from tests.taskapi.traces.trace_helpers import (
    TRACE,
    api_client,
    failed_task_trace,
    mark_traced,
    to_json,
    viewer_settings,
)

EMPTY = {"meta", "rect", "br"}


class Page(HTMLParser):
    """Its text and its elements. An element that is not closed in order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


async def page_of(url: str, server: HttpServer | None, database: Database, name: str = "a task") -> httpx.Response:
    """Return the page of a traced task, whose second attempt is linked to the first. `server` is the trace viewer."""
    own = TracingSettings() if server is None else viewer_settings(server)
    async with api_client(url, tracing=own, trace_url_template="https://viewer/{trace_id}") as api:
        task_id = await submit(api, name=name)
        mark_traced(database, task_id)
        if server is not None:
            trace_helpers.add_attempt(database, task_id, 1, TRACE, f"{4:016x}")
            trace_helpers.add_attempt(database, task_id, 2, trace_helpers.LATER, f"{9:016x}")
            link = {"traceId": TRACE, "spanId": f"{4:016x}"}
            later = trace_helpers.span(8, None, "relay <default>", 200, 5, traceId=trace_helpers.LATER, links=[link])
            server.on("GET", f"/traces/{TRACE}", Response(body=to_json({"batches": failed_task_trace(task_id)})))
            spans = trace_helpers.resource_spans(coordinator=[later])
            server.on("GET", f"/traces/{trace_helpers.LATER}", Response(body=to_json({"batches": spans})))
        return await api.get(f"http://api/tasks/{task_id}/trace")


async def test_the_page_shows_each_span_with_its_bar_and_its_details(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    answer = await page_of(database_url, http_server, database)

    page = Page(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert len(page.having("details")) == 6
    assert [one["class"] for one in page.having("span") if (one.get("class") or "").startswith("name")] == [
        "name d0", "name d1", "name d1", "name d1", "name d2", "name d0",
    ]  # fmt: skip
    bars = [one for one in page.having("rect") if "x" in one]
    assert (bars[1]["x"], bars[1]["width"]) == ("1.000%", "4.000%")
    assert bars[2]["class"] == "wait"
    assert (bars[4]["class"] or "").endswith("failed")
    assert "no <b>luck</b>" in page.text
    assert "linked to attempt 1" in page.text
    assert f"#{4:016x}" in [one["href"] for one in page.having("a")]
    assert f"https://viewer/{TRACE}" in [one["href"] for one in page.having("a")]


async def test_the_page_loads_and_runs_nothing_and_its_policy_allows_its_style(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    answer = await page_of(database_url, http_server, database, name='"><script>alert(1)</script>')

    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert '"><script>alert(1)</script>' in page.text
    assert {"script", "img", "link", "iframe", "b"}.isdisjoint(name for name, _ in page.elements)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith(("on", "style"))]
    assert not re.search(r"url\(|@import", page.style)


async def test_without_a_viewer_the_page_names_the_setting(database_url: str, database: Database) -> None:
    answer = await page_of(database_url, None, database)

    assert answer.status_code == 409
    assert "TASKCORE_TRACING__QUERY_URL" in Page(answer.text).text
    assert "/api/v3/traces/{trace_id}" in Page(answer.text).text


async def test_the_page_of_an_unsampled_or_unknown_task_says_so(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    unsampled = await api.get(f"http://api/tasks/{task_id}/trace")
    unknown = await api.get("http://api/tasks/4711/trace")

    assert (unsampled.status_code, unknown.status_code) == (404, 404)
    assert f"Task {task_id} has no trace" in Page(unsampled.text).text
    assert "There is no task 4711." in Page(unknown.text).text
    assert "default-src 'none'" in unknown.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00085, "850 µs"), (0.0123, "12.3 ms"), (4.556, "4.56 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min"),
     (-0.002, "-2.0 ms"), (-65, "-1 min 5 s")],
)  # fmt: skip
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
