"""The settings of the task types that ship: what they may reach, and how."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from taskcore.settings.field_types import Port, Seconds, Section


class SmtpSettings(Section):
    """`ca_file`: authorities (PEM) to check the server's certificate by, instead of the system's own."""

    host: str = "127.0.0.1"
    port: Port = 25
    tls: Literal["none", "starttls", "tls"] = "none"
    username: str | None = None
    password: SecretStr | None = None
    sender: str = "taskcore@localhost"
    timeout_s: Seconds = 30
    ca_file: Path | None = None


class DatabaseSettings(Section):
    """A database that `run_query` may use, by its name under `databases`.

    `read_only` keeps a query from changing data. It does not bound functions that act outside of a transaction
    (`pg_terminate_backend`, `lo_export`, `dblink`): the URL should name a role that holds no such rights.
    """

    url: SecretStr
    read_only: bool = True
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    timeout_s: Seconds = 300


class CommandSettings(Section):
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


class HttpSettings(Section):
    """What `http_request` may do.

    `allowed_networks`: loopback, link-local or private networks that it may reach all the same.
    `ca_file`: authorities (PEM) to check servers' certificates by, instead of the public ones.
    """

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    timeout_s: Seconds = 30
    max_body_bytes: Annotated[int, Field(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024
    ca_file: Path | None = None
