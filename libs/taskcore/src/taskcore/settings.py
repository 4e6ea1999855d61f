"""The settings in layers: defaults < file (`TASKCORE_CONFIG`, YAML) < environment (`TASKCORE_…`) < secrets directory.

Read once, in a process's `__main__`, and passed down. A nested setting's variable has a double underscore:
`TASKCORE_SMTP__HOST`. A secrets directory (`TASKCORE_SECRETS_DIR`) holds one file a setting, named like the
variable in lower case without the prefix: `database_url`, `smtp__password`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
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

from taskcore.domain.tasks import MAX_NAME
from taskcore.errors import InvalidSettings

PREFIX = "TASKCORE_"

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=365 * 86_400)]
Age = Annotated[float | None, Field(gt=0, le=100 * 365 * 86_400)]
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$")]


class Live:
    """Marks a setting that the database may override while processes run: see `taskcore.live_settings`."""


LIVE = Live()


class Layer(StrEnum):
    """Where a setting comes from: the weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET = "secret"
    DATABASE = "database"  # which beats the others, for those that are live


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApiSettings(_Section):
    """Where the API listens. It has no authentication yet: a host other than loopback opens it to that network.

    `drain_s`: how long it goes on answering after it was told to stop, while `/readyz` says that it is about to.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    drain_s: Annotated[float, Field(ge=0, le=3_600)] = 5


class WorkerSettings(_Section):
    """`processes` times `threads` tasks run at once.

    `look_ahead`: how many short tasks a process may claim beyond its threads. `queues` (JSON list): empty means all.
    `lease_s`: how long after its last heartbeat a worker is taken for dead. `grace_s`: what running tasks get to end in
    when the worker stops. `kill_after_s`: what a task that was told to stop gets before its process is killed.
    """

    processes: Annotated[int, Field(ge=1, le=256)] = 2
    threads: Annotated[int, Field(ge=1, le=1024)] = 8
    look_ahead: Annotated[int, Field(ge=0, le=1024)] = 64
    queues: tuple[str, ...] = ()
    heartbeat_s: Seconds = 5
    lease_s: Seconds = 30
    grace_s: Seconds = 25
    kill_after_s: Seconds = 5


class CoordinatorSettings(_Section):
    """`resend_after_s`: how old an unclaimed message must be before it can count as lost.

    `unknown_type_after_s`: how long a task waits for a worker that knows its type before it fails.
    """

    resend_after_s: Annotated[Seconds, LIVE] = 15
    sweep_every_s: Annotated[Seconds, LIVE] = 30
    unknown_type_after_s: Annotated[Seconds, LIVE] = 86_400


class TypeRetention(_Section):
    """How long tasks of one type are kept after their end. What is left out is as for all types; null: for ever."""

    succeeded_s: Age = None
    failed_s: Age = None
    cancelled_s: Age = None


class RetentionSettings(_Section):
    """How long tasks are kept after their end, in seconds; nothing set: for ever.

    `types`: other times for some types, as `{"send_email": {"succeeded_s": 86400, "failed_s": null}}`.
    `history_s`: how long the history of tasks that were deleted is kept, at least. The oldest goes first, up to the
    first row of a task that still exists, or on which one depends.
    """

    succeeded_s: Annotated[Age, LIVE] = None
    failed_s: Annotated[Age, LIVE] = None
    cancelled_s: Annotated[Age, LIVE] = None
    types: Annotated[dict[Identifier, TypeRetention], LIVE] = Field(default_factory=dict)
    history_s: Annotated[Age, LIVE] = None


class HealthSettings(_Section):
    """`port` 0 turns it off."""

    host: str = "127.0.0.1"
    port: Port = 5050


class SmtpSettings(_Section):
    """`ca_file`: authorities (PEM) to check the server's certificate by, instead of the system's own."""

    host: str = "127.0.0.1"
    port: Port = 25
    tls: Literal["none", "starttls", "tls"] = "none"
    username: str | None = None
    password: SecretStr | None = None
    sender: str = "taskcore@localhost"
    timeout_s: Seconds = 30
    ca_file: Path | None = None


class DatabaseSettings(_Section):
    """A database that `run_query` may use, by its name under `databases`.

    `read_only` keeps a query from changing data. It does not bound functions that act outside of a transaction
    (`pg_terminate_backend`, `lo_export`, `dblink`): the URL should name a role that holds no such rights.
    """

    url: SecretStr
    read_only: bool = True
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    timeout_s: Seconds = 300


class CommandSettings(_Section):
    """A command that `run_command` may run, by its name under `commands`.

    `argv` (JSON list): the program and what is always given to it. `max_arguments`: how many arguments a task may add;
    they may be options, unless `argv` ends with `--`. `stdin`: whether a task may give it something to read. `env`
    (JSON object) is added to `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`: all that it gets of the worker's.
    `memory_mb` bounds the address space of each of its processes.
    """

    argv: Annotated[tuple[str, ...], Field(min_length=1)]
    max_arguments: Annotated[int, Field(ge=0, le=100)] = 0
    stdin: bool = False
    env: dict[str, str] = Field(default_factory=dict)
    cwd: Path | None = None
    timeout_s: Seconds | None = None
    memory_mb: Annotated[int, Field(ge=1)] | None = None


class HttpSettings(_Section):
    """What `http_request` may do.

    `allowed_networks`: loopback, link-local or private networks that it may reach all the same.
    `ca_file`: authorities (PEM) to check servers' certificates by, instead of the public ones.
    """

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    timeout_s: Seconds = 30
    max_body_bytes: Annotated[int, Field(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024
    ca_file: Path | None = None


class LogSettings(_Section):
    """`auto` is readable on a terminal and JSON elsewhere."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LIVE] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Settings(BaseSettings):
    """Everything an operator can set."""

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
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments of the constructor beat all layers."""
        return (init_settings, *_layers(settings_cls).values())


def load_settings(**overrides: Any) -> Settings:
    """Read all layers. `overrides` (from the command line) beat them.

    Raises:
        InvalidSettings: with a line for each setting at fault, by its name; never with a value.
    """
    try:
        return Settings(**overrides)
    except SettingsError as exc:  # a value that should have been JSON, a missing secrets directory
        raise InvalidSettings(str(exc)) from exc
    except ValidationError as exc:
        lines = (f"{_variable(e['loc'])}: {e['msg']}" for e in exc.errors(include_input=False, include_url=False))
        raise InvalidSettings("\n".join(lines)) from exc


def layer_of(section: str, field: str) -> Layer:
    """Where a setting of this process comes from."""
    for layer, source in _layers(Settings).items():
        members = source().get(section)
        if isinstance(members, dict) and field in members:
            return layer
    return Layer.DEFAULT


def seconds(value: float) -> timedelta:
    """A setting in seconds as a duration."""
    return timedelta(seconds=value)


def _layers(settings_cls: type[BaseSettings]) -> dict[Layer, PydanticBaseSettingsSource]:
    """The strongest first."""
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
        layers[Layer.FILE] = YamlConfigSettingsSource(settings_cls, yaml_file=_existing(file))
    return layers


def _existing(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise InvalidSettings(f"{PREFIX}CONFIG: there is no file {file!r}")
    return path


def _variable(path: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part) for part in path).upper()
