"""Parameters that `http_request` refuses."""

from __future__ import annotations

import msgspec
import pytest

from taskcore.testing import parse_parameters
from taskworker.types.http.http_request import HttpRequest


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
def test_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="url"):
        parse_parameters(HttpRequest, url=url)


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
def test_header_that_could_change_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="headers"):
        parse_parameters(HttpRequest, url="http://example.org", headers={name: value})


def test_body_and_json_exclude_each_other() -> None:
    with pytest.raises(msgspec.ValidationError, match="body or json"):
        parse_parameters(HttpRequest, url="http://example.org", body="a", json={})
