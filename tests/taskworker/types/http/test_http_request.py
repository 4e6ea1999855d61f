"""`http_request` against a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpcore
import pytest

from harness.ports import free_port
from taskcore.plugins import Fail, RetryAfter
from taskworker.types.http.http_request import HttpRequest, UnexpectedStatus
from tests.taskworker.types.certificates import CertificateAuthority
from tests.taskworker.types.environments import loopback_environment
from tests.taskworker.types.http_server import HttpServer, Reply, http_server


def test_response_is_the_result(site: HttpServer) -> None:
    site.replies["/a?b=c"] = Reply(201, {"Content-Type": "text/plain; charset=latin-1"}, "grün".encode("latin-1"))

    result = loopback_environment().run(HttpRequest, url=f"{site.url}/a?b=c")

    assert result["status"] == 201
    assert result["headers"]["content-type"] == "text/plain; charset=latin-1"
    assert result["body"] == "grün"
    assert result["truncated"] is False
    assert result["url"] == f"{site.url}/a?b=c"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_is_sent(site: HttpServer, method: str) -> None:
    loopback_environment().run(HttpRequest, url=site.url, method=method)

    assert site.requests[0].method == method


def test_headers_and_a_text_body_are_sent(site: HttpServer) -> None:
    loopback_environment().run(HttpRequest, url=site.url, method="POST", headers={"X-Tag": "a"}, body="grün")

    (request,) = site.requests
    assert request.headers["X-Tag"] == "a"
    assert request.headers["Host"] == f"localhost:{site.port}"
    assert request.body == "grün".encode()


@pytest.mark.parametrize("value", [{"a": [1, None]}, [], 0, False, ""])
def test_json_body_is_sent_with_its_content_type(site: HttpServer, value: Any) -> None:
    loopback_environment().run(HttpRequest, url=site.url, method="POST", json=value)

    (request,) = site.requests
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == value


def test_given_content_type_replaces_that_of_json(site: HttpServer) -> None:
    headers = {"content-type": "application/merge-patch+json"}

    loopback_environment().run(HttpRequest, url=site.url, method="PATCH", headers=headers, json={})

    assert site.requests[0].headers["content-type"] == "application/merge-patch+json"


def test_long_body_is_truncated(site: HttpServer) -> None:
    site.replies["/"] = Reply(body=b"x" * 5000)

    result = loopback_environment(max_body_bytes=1000).run(HttpRequest, url=site.url)

    assert result["body"] == "x" * 1000
    assert result["truncated"] is True


def test_body_of_the_maximum_size_is_complete(site: HttpServer) -> None:
    site.replies["/"] = Reply(body=b"x" * 1000)

    result = loopback_environment(max_body_bytes=1000).run(HttpRequest, url=site.url)

    assert result["body"] == "x" * 1000
    assert result["truncated"] is False


@pytest.mark.parametrize("status", [200, 302])
def test_endless_body_is_read_up_to_the_limit(site: HttpServer, status: int) -> None:
    def endless(write: Callable[[bytes], object]) -> None:
        while not site.closing.is_set():
            write(b"x" * 65536)

    site.replies["/"] = Reply(status, {"Location": "/there"}, stream=endless)

    result = loopback_environment(max_body_bytes=1000).run(HttpRequest, url=f"{site.url}/")

    assert result["truncated"] is (status == 200)


def test_slow_server_is_left_at_the_timeout(site: HttpServer) -> None:
    def drip(write: Callable[[bytes], object]) -> None:
        while not site.closing.wait(0.02):
            write(b"x")

    site.replies["/"] = Reply(stream=drip)

    with pytest.raises(httpcore.ReadTimeout):
        loopback_environment().run(HttpRequest, url=site.url, timeout_s=0.3)


def test_unreachable_server_is_retried() -> None:
    with pytest.raises(httpcore.ConnectError):
        loopback_environment().run(HttpRequest, url=f"http://127.0.0.1:{free_port()}")


def test_unresolvable_name_is_retried() -> None:
    with pytest.raises(httpcore.ConnectError, match="cannot be resolved"):
        loopback_environment().run(HttpRequest, url="http://nowhere.invalid/")


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 422])
def test_unexpected_status_fails_permanently_with_the_start_of_the_body(site: HttpServer, status: int) -> None:
    site.replies["/"] = Reply(status, body=b"no such thing " * 100)

    outcome = loopback_environment().run(HttpRequest, url=site.url)

    assert outcome.reason == "unexpected_status"
    assert outcome.error.startswith(f"status {status}: no such thing")
    assert len(outcome.error) < 600


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_temporary_status_is_retried(site: HttpServer, status: int) -> None:
    site.replies["/"] = Reply(status, body=b"busy")

    with pytest.raises(UnexpectedStatus, match=f"status {status}: busy"):
        loopback_environment().run(HttpRequest, url=site.url)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_sets_the_wait(site: HttpServer, status: int) -> None:
    site.replies["/"] = Reply(status, {"Retry-After": "3600"})

    outcome = loopback_environment().run(HttpRequest, url=site.url)

    assert outcome == RetryAfter(timedelta(hours=1), error=f"status {status}")


@pytest.mark.parametrize("value", ["3601", "99999999999999999999", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_long_or_invalid_retry_after_is_left_to_the_retry_policy(site: HttpServer, value: str) -> None:
    site.replies["/"] = Reply(503, {"Retry-After": value})

    with pytest.raises(UnexpectedStatus):
        loopback_environment().run(HttpRequest, url=site.url)


def test_expected_status_can_be_set(site: HttpServer) -> None:
    site.replies["/"] = Reply(404)

    result = loopback_environment().run(HttpRequest, url=site.url, expected_status=[404, 410])

    assert result["status"] == 404


def test_unexpected_success_status_fails(site: HttpServer) -> None:
    outcome = loopback_environment().run(HttpRequest, url=site.url, expected_status=[204])

    assert outcome == Fail("status 200", reason="unexpected_status")


def test_certificate_is_checked_against_the_host_name(authority: CertificateAuthority) -> None:
    with http_server(authority.server_context("localhost")) as site:
        result = loopback_environment(ca_file=authority.ca_file).run(HttpRequest, url=site.url)

    assert result["status"] == 200
    assert site.requests[0].headers["Host"] == f"localhost:{site.port}"


@pytest.mark.parametrize(("name", "is_known"), [("localhost", False), ("elsewhere.example", True)])
def test_untrusted_certificate_fails_the_attempt(authority: CertificateAuthority, name: str, is_known: bool) -> None:
    env = loopback_environment(ca_file=authority.ca_file if is_known else None)

    with (
        http_server(authority.server_context(name)) as site,
        pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        env.run(HttpRequest, url=site.url)

    assert site.requests == []


def test_proxies_of_the_environment_are_ignored(site: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    assert loopback_environment().run(HttpRequest, url=site.url)["status"] == 200
