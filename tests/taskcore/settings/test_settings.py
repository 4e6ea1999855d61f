"""Settings: the order of layers, and messages that name the invalid setting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskcore.errors import InvalidSettings
from taskcore.settings import load_settings


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
