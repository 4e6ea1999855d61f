"""Secrets in log lines."""

from __future__ import annotations

from typing import Any

import pytest

from taskcore.observability.redaction import Redactor
from taskcore.settings import LogSettings


@pytest.fixture
def redactor() -> Redactor:
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
def test_field_with_a_secret_name_is_redacted(redactor: Redactor, key: str) -> None:
    assert redactor.redact_fields({key: "hunter2"}) == {key: "***"}


@pytest.mark.parametrize("key", ["tokens", "task_id", "passes", "keyboard", "secretary", "apiary_key", ""])
def test_field_with_a_similar_name_is_shown(redactor: Redactor, key: str) -> None:
    assert redactor.redact_fields({key: "shown"}) == {key: "shown"}


@pytest.mark.parametrize("value", [True, False, None])
def test_a_field_without_room_for_a_secret_is_kept(redactor: Redactor, value: bool | None) -> None:
    assert redactor.redact_fields({"password_changed": value}) == {"password_changed": value}


def test_field_is_redacted_at_any_depth(redactor: Redactor) -> None:
    fields = {"request": {"headers": [{"Cookie": "a=b", "Accept": "*/*"}], "token": {"value": 1}}, 7: ("x",)}

    hidden = {"request": {"headers": [{"Cookie": "***", "Accept": "*/*"}], "token": "***"}, 7: ["x"]}
    assert redactor.redact_fields(fields) == hidden


def test_operator_chooses_the_names(redactor: Redactor) -> None:
    custom = Redactor(["iban", "Pass Port"])

    assert custom.redact_fields({"IBAN": 1, "pass_port": 2, "password": 3}) == {
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
def test_passwords_in_urls_are_redacted_anywhere(redactor: Redactor, text: str, shown: str) -> None:
    assert redactor.redact_text(text) == shown
    assert redactor.redact_fields({"error": text, "all": [text]}) == {"error": shown, "all": [shown]}


def test_structure_that_contains_itself_is_cut_off(redactor: Redactor) -> None:
    ring: dict[str, Any] = {}
    ring["ring"] = ring

    assert "ring" in redactor.redact_fields(ring)


@pytest.mark.parametrize("text", ["a.b-" * 50_000 + "://@", "://a:" * 50_000 + "@", "x://" + "y" * 200_000 + "@"])
def test_long_text_without_secrets_is_searched_in_linear_time(redactor: Redactor, text: str) -> None:
    assert redactor.redact_text(text) == text
