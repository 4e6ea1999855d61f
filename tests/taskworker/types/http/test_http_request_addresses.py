"""Where `http_request` does not go."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from taskcore.plugins import Fail
from taskworker.types.http.http_request import HttpRequest
from tests.taskworker.types.contexts import make_context, run
from tests.taskworker.types.http_server import HttpServer, Reply

NAME = "moving.example"


def answer(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Have the system's resolver give these addresses for `NAME`, a list at each time that it is asked."""
    real, left = socket.getaddrinfo, iter(answers)

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        hosts: Iterator[str] = iter(next(left) if host == NAME else [host])
        return [found for each in hosts for found in real(each, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f000001", "0", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_out_of_reach_however_it_is_spelled(site: HttpServer, host: str) -> None:
    outcome = run(HttpRequest, make_context(), url=f"http://{host}:{site.port}/")

    assert isinstance(outcome, Fail)
    assert outcome.reason == "forbidden_address"
    assert site.requests == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "https://10.0.0.1/", "http://[fd00:ec2::254]/"])
def test_private_networks_are_out_of_reach(url: str) -> None:
    outcome = run(HttpRequest, make_context(), url=url)

    assert outcome.reason == "forbidden_address"


def test_a_redirect_does_not_lead_to_a_forbidden_address(site: HttpServer) -> None:
    ctx = make_context(http={"allowed_networks": ["127.0.0.1/32", "::1/128"]})
    site.replies["/"] = Reply(302, {"Location": f"http://127.0.0.2:{site.port}/secret"})

    outcome = run(HttpRequest, ctx, url=f"http://127.0.0.1:{site.port}/")

    assert outcome.reason == "forbidden_address"
    assert [request.path for request in site.requests] == ["/"]


def test_only_the_allowed_networks_are_opened(site: HttpServer) -> None:
    ctx = make_context(http={"allowed_networks": ["127.0.0.1/32"]})

    assert run(HttpRequest, ctx, url=f"http://127.0.0.1:{site.port}/")["status"] == 200
    assert run(HttpRequest, ctx, url=f"http://127.0.0.2:{site.port}/").reason == "forbidden_address"


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    site: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(http={"allowed_networks": ["127.0.0.1/32"]})
    answer(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

    result = run(HttpRequest, ctx, url=f"http://{NAME}:{site.port}/")

    assert result["status"] == 200
    assert site.requests[0].headers["Host"] == f"{NAME}:{site.port}"


def test_a_name_that_moves_between_redirects_is_checked_again(
    site: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(http={"allowed_networks": ["127.0.0.1/32"]})
    site.replies["/"] = Reply(302, {"Location": "/again"})
    answer(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

    outcome = run(HttpRequest, ctx, url=f"http://{NAME}:{site.port}/")

    assert outcome.reason == "forbidden_address"


def test_a_name_with_one_forbidden_address_among_others_is_refused(
    site: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(http={"allowed_networks": ["127.0.0.1/32"]})
    answer(monkeypatch, ["127.0.0.1", "127.0.0.2"])

    outcome = run(HttpRequest, ctx, url=f"http://{NAME}:{site.port}/")

    assert outcome == Fail(f"{NAME} is 127.0.0.2, an address that tasks may not connect to", "forbidden_address")
    assert site.requests == []


def test_the_next_address_is_tried_where_the_first_does_not_answer(
    site: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(http={"allowed_networks": ["127.0.0.0/8"]})
    answer(monkeypatch, ["127.0.0.2", "127.0.0.1"])

    assert run(HttpRequest, ctx, url=f"http://{NAME}:{site.port}/")["status"] == 200
