"""Loads settings in layers: defaults < file (`TASKCORE_CONFIG`, YAML) < environment (`TASKCORE_…`) < secrets directory.

They are read once, in a process's `__main__`, and passed down. docs/settings.md describes the layers.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
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
from taskcore.settings.amqp import AmqpTlsSettings, AmqpUrls
from taskcore.settings.api import ApiSettings
from taskcore.settings.collectors import AlertSettings, AnalyticsSettings, KubernetesSettings
from taskcore.settings.database_url import DatabaseUrl, Pooler
from taskcore.settings.observability import HealthSettings, LogSettings
from taskcore.settings.queues import QueueSettings
from taskcore.settings.retention import RetentionSettings
from taskcore.settings.task_types import CommandSettings, DatabaseSettings, HttpSettings, SmtpSettings
from taskcore.settings.tracing import TraceUrl, TracingSettings
from taskcore.settings.worker import CoordinatorSettings, WorkerSettings

PREFIX = "TASKCORE_"


class Layer(StrEnum):
    """Where the value of a setting comes from, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET = "secret"
    DATABASE = "database"  # live settings only


class Settings(BaseSettings):
    """Everything that an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_url: DatabaseUrl = SecretStr("postgresql://taskcore@127.0.0.1:5432/taskcore")
    """PostgreSQL, 15 or newer: [docs/postgresql.md](postgresql.md) has hosts, TLS, poolers and failover."""
    database_direct_url: DatabaseUrl | None = None
    """The same database without the pooler, for connections that must stay the same: listeners, liveness locks and
    migrations. [default: `database_url`]
    """
    database_owner_url: DatabaseUrl | None = None
    """The same database for the role that owns the tables, if the services have a role of their own in `database_url`.
    Only `taskcore db` reads it: `upgrade` lets that other role read and write rows.
    """
    database_admin_url: DatabaseUrl | None = None
    """An existing database on the same server, such as `postgres`, for a role that may create roles and databases. If
    set, `taskcore db upgrade` first creates the roles and the database that the other two URLs name.
    """
    database_pooler: Pooler = "none"
    """Whether `database_url` leads to a pooler that may change the server connection with each transaction."""
    amqp_url: AmqpUrls = SecretStr("amqp://guest:guest@127.0.0.1:5672/%2F")
    """RabbitMQ, 3.10 or newer. The addresses of several nodes are separated by commas, and tried until one answers."""
    amqp_tls: AmqpTlsSettings = AmqpTlsSettings()
    queue_type: Literal["quorum", "classic"] = "quorum"
    """Type of the queues in RabbitMQ."""
    queues: QueueSettings = QueueSettings()
    data_dir: Path = Path(".taskcore")
    """Where `taskcore-standalone` keeps its data."""
    api: ApiSettings = ApiSettings()
    worker: WorkerSettings = WorkerSettings()
    coordinator: CoordinatorSettings = CoordinatorSettings()
    retention: RetentionSettings = RetentionSettings()
    health: HealthSettings = HealthSettings()
    smtp: SmtpSettings = SmtpSettings()
    databases: dict[str, DatabaseSettings] = Field(default_factory=dict)
    """Databases that `run_query` may use, by name."""
    commands: dict[str, CommandSettings] = Field(default_factory=dict)
    """Commands that `run_command` may run, by name."""
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
    """URL of a trace's page, with `{trace_id}` and perhaps `{task_id}`, for the `trace_url` of tasks. The variable
    `TRACE_URL_TEMPLATE` is read too.
    """

    @property
    def direct_url(self) -> str:
        """The URL for connections that no pooler may exchange."""
        return (self.database_direct_url or self.database_url).get_secret_value()

    @field_validator("database_pooler")
    @classmethod
    def _check_direct_url(cls, pooler: Pooler, info: ValidationInfo) -> Pooler:
        if pooler == "transaction" and not info.data.get("database_direct_url", True):
            raise ValueError(f"{pooler} also needs {PREFIX}DATABASE_DIRECT_URL, which leads past the pooler")
        return pooler

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
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
        if not Path(file).is_file():
            raise InvalidSettings(f"{PREFIX}CONFIG: no such file: {file!r}")
        layers[Layer.FILE] = YamlConfigSettingsSource(settings_cls, yaml_file=file)
    return layers


def _variable(path: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part) for part in path).upper().removeprefix(PREFIX)
