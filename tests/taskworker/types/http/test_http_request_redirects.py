"""How `http_request` follows redirects."""

from __future__ import annotations

import pytest

from taskworker.types.http.http_request import HttpRequest
from tests.taskworker.types.environments import loopback_environment
from tests.taskworker.types.http_server import HttpServer, Reply, http_server


def test_redirects_lead_to_the_final_response(site: HttpServer) -> None:
    site.replies["/"] = Reply(302, {"Location": "/there"})
    site.replies["/there"] = Reply(body=b"here")

    result = loopback_environment().run(HttpRequest, url=site.url)

    assert result["body"] == "here"
    assert result["url"] == f"{site.url}/there"


@pytest.mark.parametrize(("status", "method", "body"), [(303, "GET", b""), (307, "POST", b"data")])
def test_redirect_keeps_the_body_only_for_307_and_308(site: HttpServer, status: int, method: str, body: bytes) -> None:
    site.replies["/"] = Reply(status, {"Location": "/there"})

    loopback_environment().run(HttpRequest, url=site.url, method="POST", body="data")

    assert (site.requests[1].method, site.requests[1].body) == (method, body)


def test_redirect_is_the_result_without_follow_redirects(site: HttpServer) -> None:
    site.replies["/"] = Reply(302, {"Location": "/there"})

    result = loopback_environment().run(HttpRequest, url=site.url, follow_redirects=False, expected_status=[302])

    assert result["headers"]["location"] == "/there"
    assert len(site.requests) == 1


def test_up_to_ten_redirects_lead_to_the_response(site: HttpServer) -> None:
    for n in range(11):
        site.replies[f"/{n}"] = Reply(302, {"Location": f"/{n + 1}"})

    assert loopback_environment().run(HttpRequest, url=f"{site.url}/1")["url"] == f"{site.url}/11"
    assert loopback_environment().run(HttpRequest, url=f"{site.url}/0").reason == "bad_redirect"


@pytest.mark.parametrize("location", ["ftp://localhost/", "file:///etc/passwd", "http://[::1", "http://localhost:x/"])
def test_redirect_to_another_scheme_fails_permanently(site: HttpServer, location: str) -> None:
    site.replies["/"] = Reply(302, {"Location": location})

    assert loopback_environment().run(HttpRequest, url=site.url).reason == "bad_redirect"


def test_credentials_do_not_follow_a_redirect_to_another_server(site: HttpServer) -> None:
    headers = {"Authorization": "Bearer secret", "Cookie": "a=b"}
    with http_server() as other:
        site.replies["/"] = Reply(302, {"Location": f"{other.url}/"})
        loopback_environment().run(HttpRequest, url=site.url, headers=headers)

    assert site.requests[0].headers["Authorization"] == "Bearer secret"
    assert "Authorization" not in other.requests[0].headers
    assert "Cookie" not in other.requests[0].headers
