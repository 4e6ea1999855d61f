"""What `http_request` does not take."""

from __future__ import annotations

import msgspec
import pytest

from taskworker.types.http.http_request import HttpRequest
from tests.taskworker.types.contexts import parse


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "//example.org/",
        "example.org",
        "http://",
        "http:///path",
        "http://example.org/\r\nX: y",
        "http://example.org/ b",
        "http://example.org/\n",
        "http://example.org:99999/",
        "http://[::1",
    ],
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="url"):
        parse(HttpRequest, url=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A\r\nX-B", "c"),
        ("X-A\n", "c"),
        ("X A", "c"),
        ("X:A", "c"),
        ("", "c"),
        ("X-A", "b\r\nX-B: c"),
        ("X-A", "b\n"),
        ("X-A", "b\0"),
        ("X-A", "ü"),
        ("Host", "internal.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "X-A"),
    ],
)
def test_a_header_that_could_bend_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="headers"):
        parse(HttpRequest, url="http://example.org", headers={name: value})


def test_a_body_and_json_together_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="body or json"):
        parse(HttpRequest, url="http://example.org", body="a", json={})
