"""Addresses that `http_request` refuses to connect to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from taskcore.plugins import Fail
from taskworker.types.http.http_request import HttpRequest
from tests.taskworker.types.environments import make_environment
from tests.taskworker.types.http_server import HttpServer, Reply

NAME = "moving.example"


def answer(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Make the system's resolver return these lists of addresses for `NAME`, one per call."""
    real, left = socket.getaddrinfo, iter(answers)

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        hosts: Iterator[str] = iter(next(left) if host == NAME else [host])
        return [found for each in hosts for found in real(each, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f000001", "0", "[::ffff:127.0.0.1]"],
)
def test_loopback_is_forbidden_in_every_notation(site: HttpServer, host: str) -> None:
    outcome = make_environment().run(HttpRequest, url=f"http://{host}:{site.port}/")

    assert isinstance(outcome, Fail)
    assert outcome.reason == "forbidden_address"
    assert site.requests == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "https://10.0.0.1/", "http://[fd00:ec2::254]/"])
def test_private_networks_are_forbidden(url: str) -> None:
    outcome = make_environment().run(HttpRequest, url=url)

    assert outcome.reason == "forbidden_address"


@pytest.mark.parametrize("host", ["168.63.129.16", "[::ffff:168.63.129.16]", "169.254.169.254"])
def test_metadata_address_is_forbidden_by_default(host: str) -> None:
    outcome = make_environment(http={"allowed_networks": ["169.254.0.0/16"]}).run(HttpRequest, url=f"http://{host}/")

    assert outcome.reason == "forbidden_address"


def test_denied_network_is_forbidden_although_it_is_allowed(site: HttpServer) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.0/8"], "denied_networks": ["127.0.0.2/32"]})

    assert env.run(HttpRequest, url=f"http://127.0.0.1:{site.port}/")["status"] == 200
    assert env.run(HttpRequest, url=f"http://127.0.0.2:{site.port}/").reason == "forbidden_address"


def test_redirect_to_a_forbidden_address_is_refused(site: HttpServer) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.1/32", "::1/128"]})
    site.replies["/"] = Reply(302, {"Location": f"http://127.0.0.2:{site.port}/secret"})

    outcome = env.run(HttpRequest, url=f"http://127.0.0.1:{site.port}/")

    assert outcome.reason == "forbidden_address"
    assert [request.path for request in site.requests] == ["/"]


def test_only_allowed_networks_are_reachable(site: HttpServer) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.1/32"]})

    assert env.run(HttpRequest, url=f"http://127.0.0.1:{site.port}/")["status"] == 200
    assert env.run(HttpRequest, url=f"http://127.0.0.2:{site.port}/").reason == "forbidden_address"


def test_connection_goes_to_the_address_that_was_checked(site: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.1/32"]})
    answer(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

    result = env.run(HttpRequest, url=f"http://{NAME}:{site.port}/")

    assert result["status"] == 200
    assert site.requests[0].headers["Host"] == f"{NAME}:{site.port}"


def test_name_is_checked_again_at_each_redirect(site: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.1/32"]})
    site.replies["/"] = Reply(302, {"Location": "/again"})
    answer(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])

    outcome = env.run(HttpRequest, url=f"http://{NAME}:{site.port}/")

    assert outcome.reason == "forbidden_address"


def test_name_with_one_forbidden_address_is_refused(site: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.1/32"]})
    answer(monkeypatch, ["127.0.0.1", "127.0.0.2"])

    outcome = env.run(HttpRequest, url=f"http://{NAME}:{site.port}/")

    assert outcome == Fail(f"{NAME} resolves to 127.0.0.2, to which tasks may not connect", "forbidden_address")
    assert site.requests == []


def test_next_address_is_tried_when_the_first_fails(site: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_environment(http={"allowed_networks": ["127.0.0.0/8"]})
    answer(monkeypatch, ["127.0.0.2", "127.0.0.1"])

    assert env.run(HttpRequest, url=f"http://{NAME}:{site.port}/")["status"] == 200
