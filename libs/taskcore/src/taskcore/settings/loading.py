"""Loads settings in layers: defaults < file (`TASKCORE_CONFIG`, YAML) < environment (`TASKCORE_…`) < secrets directory.

They are read once, in a process's `__main__`, and passed down. The variable of a nested setting has a double
underscore: `TASKCORE_SMTP__HOST`. A secrets directory (`TASKCORE_SECRETS_DIR`) holds one file for each setting, named
like the variable in lower case without the prefix: `database_url`, `smtp__password`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from taskcore.errors import InvalidSettings
from taskcore.settings.collectors import AlertSettings, AnalyticsSettings, KubernetesSettings
from taskcore.settings.processes import (
    ApiSettings,
    CoordinatorSettings,
    HealthSettings,
    LogSettings,
    RetentionSettings,
    WorkerSettings,
)
from taskcore.settings.task_types import CommandSettings, DatabaseSettings, HttpSettings, SmtpSettings
from taskcore.settings.tracing import TraceUrl, TracingSettings

PREFIX = "TASKCORE_"


class Layer(StrEnum):
    """Where the value of a setting comes from, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET = "secret"
    DATABASE = "database"  # live settings only


class Settings(BaseSettings):
    """Everything that an operator can set.

    Attributes:
        database_url: PostgreSQL, 15 or newer.
        amqp_url: RabbitMQ, 3.10 or newer.
        queue_type: Type of the queues in RabbitMQ.
        data_dir: Where `taskcore-standalone` keeps its data.
        databases: Databases that `run_query` may use, by name.
        commands: Commands that `run_command` may run, by name.
        trace_url_template: URL of a trace's page, with `{trace_id}` and perhaps `{task_id}`, for the `trace_url` of
            tasks. The variable `TRACE_URL_TEMPLATE` is read too.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr = SecretStr("postgresql://taskcore@127.0.0.1:5432/taskcore")
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/%2F")
    queue_type: Literal["quorum", "classic"] = "quorum"
    data_dir: Path = Path(".taskcore")
    api: ApiSettings = ApiSettings()
    worker: WorkerSettings = WorkerSettings()
    coordinator: CoordinatorSettings = CoordinatorSettings()
    retention: RetentionSettings = RetentionSettings()
    health: HealthSettings = HealthSettings()
    smtp: SmtpSettings = SmtpSettings()
    databases: dict[str, DatabaseSettings] = Field(default_factory=dict)
    commands: dict[str, CommandSettings] = Field(default_factory=dict)
    http: HttpSettings = HttpSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    alerts: AlertSettings = AlertSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    # Other services call it TRACE_URL_TEMPLATE, which is read too.
    trace_url_template: TraceUrl | None = Field(
        default=None, validation_alias=AliasChoices(f"{PREFIX}TRACE_URL_TEMPLATE", "trace_url_template")
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the constructor's arguments above all layers."""
        return (init_settings, *_layers(settings_cls).values())


def load_settings(**overrides: Any) -> Settings:
    """Read all layers. `overrides` (from the command line) win over them.

    Raises:
        InvalidSettings: With one line for each invalid setting, which names it but never shows its value.
    """
    try:
        return Settings(**overrides)
    except SettingsError as exc:  # a value that should have been JSON, a missing secrets directory
        raise InvalidSettings(str(exc)) from exc
    except ValidationError as exc:
        lines = (f"{_variable(e['loc'])}: {e['msg']}" for e in exc.errors(include_input=False, include_url=False))
        raise InvalidSettings("\n".join(lines)) from exc


def layer_of(section: str, field: str) -> Layer:
    """Return the strongest layer that sets `field` of `section`."""
    for layer, source in _layers(Settings).items():
        members = source().get(section)
        if isinstance(members, dict) and field in members:
            return layer
    return Layer.DEFAULT


def seconds(value: float) -> timedelta:
    """Return a setting in seconds as a duration."""
    return timedelta(seconds=value)


def _layers(settings_cls: type[BaseSettings]) -> dict[Layer, PydanticBaseSettingsSource]:
    """Return the sources of values, strongest first."""
    layers: dict[Layer, PydanticBaseSettingsSource] = {}
    if secrets := os.environ.get(f"{PREFIX}SECRETS_DIR"):
        layers[Layer.SECRET] = NestedSecretsSettingsSource(
            SecretsSettingsSource(settings_cls),
            secrets_dir=secrets,
            secrets_dir_missing="error",
            secrets_prefix="",
            secrets_nested_delimiter="__",
        )
    layers[Layer.ENVIRONMENT] = EnvSettingsSource(settings_cls)
    if file := os.environ.get(f"{PREFIX}CONFIG"):
        layers[Layer.FILE] = YamlConfigSettingsSource(settings_cls, yaml_file=_require_file(file))
    return layers


def _require_file(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise InvalidSettings(f"{PREFIX}CONFIG: no such file: {file!r}")
    return path


def _variable(path: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part) for part in path).upper().removeprefix(PREFIX)
