"""What no log shows."""

from __future__ import annotations

from typing import Any

import pytest

from taskcore.observability.redaction import Redactor
from taskcore.settings import LogSettings


@pytest.fixture
def masking() -> Redactor:
    return Redactor(LogSettings().redacted_fields)


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "PASSWORD",
        "smtp_password",
        "SmtpPassword",
        "X-Api-Key",
        "apiKey",
        "APIKey",
        "api.key",
        "Authorization",
        "Set-Cookie",
        "client_secret",
        "accessToken",
        "aws_secret_access_key",
    ],
)
def test_what_bears_such_a_name_is_hidden(masking: Redactor, key: str) -> None:
    assert masking.redact_fields({key: "hunter2"}) == {key: "***"}


@pytest.mark.parametrize("key", ["tokens", "task_id", "passes", "keyboard", "secretary", "apiary_key", ""])
def test_what_only_looks_like_one_is_shown(masking: Redactor, key: str) -> None:
    assert masking.redact_fields({key: "shown"}) == {key: "shown"}


def test_it_is_hidden_however_deep_it_lies(masking: Redactor) -> None:
    fields = {"request": {"headers": [{"Cookie": "a=b", "Accept": "*/*"}], "token": {"value": 1}}, 7: ("x",)}

    hidden = {"request": {"headers": [{"Cookie": "***", "Accept": "*/*"}], "token": "***"}, 7: ["x"]}
    assert masking.redact_fields(fields) == hidden


def test_names_are_what_the_operator_says(masking: Redactor) -> None:
    own = Redactor(["iban", "Pass Port"])

    assert own.redact_fields({"IBAN": 1, "pass_port": 2, "password": 3}) == {
        "IBAN": "***",
        "pass_port": "***",
        "password": 3,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://task:hunter2@db/task", "postgresql://task:***@db/task"),
        ("two: amqp://a:b@c and http://d:e@f", "two: amqp://a:***@c and http://d:***@f"),
        ("redis://:hunter2@cache", "redis://:***@cache"),
        ("an at in it: ftp://me:p@ss@host/x", "an at in it: ftp://me:***@host/x"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("http://user@host", "http://user@host"),
        ("10:30 me@example.org", "10:30 me@example.org"),
    ],
)
def test_passwords_in_urls_are_hidden_wherever_they_stand(masking: Redactor, text: str, shown: str) -> None:
    assert masking.redact_text(text) == shown
    assert masking.redact_fields({"error": text, "all": [text]}) == {"error": shown, "all": [shown]}


def test_what_contains_itself_comes_to_an_end(masking: Redactor) -> None:
    ring: dict[str, Any] = {}
    ring["ring"] = ring

    assert "ring" in masking.redact_fields(ring)


@pytest.mark.parametrize("text", ["a.b-" * 50_000 + "://@", "://a:" * 50_000 + "@", "x://" + "y" * 200_000 + "@"])
def test_a_long_text_in_which_nothing_is_hidden_is_soon_searched(masking: Redactor, text: str) -> None:
    assert masking.redact_text(text) == text
