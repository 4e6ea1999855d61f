"""Settings: the order of layers, and messages that name the invalid setting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from taskcore.errors import InvalidSettings
from taskcore.settings import SmtpSettings, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TASKCORE_")]:
        monkeypatch.delenv(name)


def test_later_layers_win_over_earlier_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("smtp: {host: file, port: 26, username: file}\nqueue_type: classic\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "smtp__username").write_text("secret")
    monkeypatch.setenv("TASKCORE_CONFIG", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("TASKCORE_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.setenv("TASKCORE_SMTP__HOST", "environment")
    monkeypatch.setenv("TASKCORE_SMTP__USERNAME", "environment")

    settings = load_settings()

    assert settings.queue_type == "classic"
    assert (settings.smtp.host, settings.smtp.port, settings.smtp.username) == ("environment", 26, "secret")
    assert settings.worker.threads == 8


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKCORE_WORKER__THREADS", "many"),
        ("TASKCORE_API__PORT", "70000"),
        ("TASKCORE_SMTP__TLS", "yes"),
        ("TASKCORE_DATABASES", "not json"),
        ("TASKCORE_WORKER__TREADS", "8"),
    ],
)
def test_invalid_value_is_named_by_its_variable_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(InvalidSettings) as caught:
        load_settings()

    assert variable.removeprefix("TASKCORE_").split("__")[0].lower() in str(caught.value).lower()
    assert value == "8" or value not in str(caught.value)


def test_unknown_name_in_the_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("wrker: {threads: 3}\n")
    monkeypatch.setenv("TASKCORE_CONFIG", str(tmp_path / "settings.yaml"))

    with pytest.raises(InvalidSettings, match="WRKER"):
        load_settings()


@pytest.mark.parametrize("variable", ["TASKCORE_CONFIG", "TASKCORE_SECRETS_DIR"])
def test_missing_file_or_directory_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "/there/is/no/such/thing")

    with pytest.raises(InvalidSettings):
        load_settings()


def test_secrets_are_hidden_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_URL", "postgresql://me:hush@db/tasks")
    monkeypatch.setenv("TASKCORE_SMTP__PASSWORD", "hush")

    assert "hush" not in repr(load_settings())


BAD_AMQP_URLS = [
    "",
    "h",
    "amqp://h:port",
    "amqp://h:0",
    "amqp://h:70000",
    "amqp://[::1",
    "amqp://",
    "amqp:///vhost",
    "http://h",
    "amqp://h?verify=verify_none",
    "amqps://h/v?cacertfile=x",
    "amqp://h/v#fragment",
    "amqp://user@h",
    "amqp://h/a/b",
    "amqp://h,",
    "amqp://h,amqp://h:port",
    "amqp://a,http://b",
]


@pytest.mark.parametrize("url", BAD_AMQP_URLS)
def test_address_of_rabbitmq_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TASKCORE_AMQP_URL", url.replace("//", "//u:sesame@") if url == "amqp://h:port" else url)

    with pytest.raises(InvalidSettings, match=r"^TASKCORE_AMQP_URL: ") as caught:
        load_settings()

    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "urls",
    [
        "amqp://h",
        "amqps://user:pass,word@h:5671/%2F",
        "amqp://[::1]:5672/v",
        "amqp://u:p@a:5672/%2F,amqp://u:p@b/%2F, AMQPS://c",
    ],
)
def test_one_address_of_rabbitmq_or_several_are_accepted(monkeypatch: pytest.MonkeyPatch, urls: str) -> None:
    monkeypatch.setenv("TASKCORE_AMQP_URL", urls)

    assert load_settings().amqp_url.get_secret_value() == urls


def test_key_without_a_certificate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_AMQP_TLS__KEY_FILE", "/etc/key.pem")

    with pytest.raises(InvalidSettings, match=r"^TASKCORE_AMQP_TLS: .*certificate_file"):
        load_settings()


@pytest.mark.parametrize(
    "sender", ["somebody", "Müller, GmbH <tasks@example.com>", "a@b\nBcc: c@d", "", "ä@example.com"]
)
def test_mail_sender_that_is_no_address_is_refused(sender: str) -> None:
    with pytest.raises(ValidationError, match=r"Taskcore <taskcore@example\.com>"):
        SmtpSettings(sender=sender)


@pytest.mark.parametrize("name", ["amq.x", "worker.1", "", "no spaces", "n\\n"])
def test_worker_consumes_no_queue_with_a_reserved_or_invalid_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TASKCORE_WORKER__QUEUES", f'["default", "{name}"]')

    with pytest.raises(InvalidSettings, match=r"^TASKCORE_WORKER__QUEUES__1: "):
        load_settings()
