"""Settings of the task types that ship: what they may reach, and how."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from taskcore.settings.field_types import Port, Seconds, Section


class SmtpSettings(Section):
    """The mail server of `send_email`.

    Attributes:
        host: Name or address of the server.
        port: Port of the server.
        tls: `tls` encrypts from the start, `starttls` after a command.
        username: Without one there is no login.
        password: Password of `username`.
        timeout_s: Timeout of each step.
        sender: The `From` address of mails.
        ca_file: Certificate authorities (PEM) to verify the server with, instead of the system's.
    """

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

    Attributes:
        url: `postgresql://…`
        read_only: Whether queries are kept from changing data. Functions that act outside of a transaction
            (`pg_terminate_backend`, `lo_export`, `dblink`) are not: the URL should name a role without rights to them.
        max_rows: How many rows a result may have.
        timeout_s: Timeout of a query.
    """

    url: SecretStr
    read_only: bool = True
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    timeout_s: Seconds = 300


class CommandSettings(Section):
    """A command that `run_command` may run, by its name under `commands`.

    Attributes:
        argv: The program and its fixed arguments.
        max_arguments: How many arguments a task may add. They may be options, unless `argv` ends with `--`.
        stdin: Whether a task may provide standard input.
        env: Environment variables beside `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`, which are all that the
            command inherits from the worker.
        cwd: Working directory.
        timeout_s: Timeout of the command.
        memory_mb: Limit of the address space of each of its processes.
    """

    argv: Annotated[tuple[str, ...], Field(min_length=1)]
    max_arguments: Annotated[int, Field(ge=0, le=100)] = 0
    stdin: bool = False
    env: dict[str, str] = Field(default_factory=dict)
    cwd: Path | None = None
    timeout_s: Seconds | None = None
    memory_mb: Annotated[int, Field(ge=1)] | None = None


class HttpSettings(Section):
    """The HTTP client of `http_request` and of `ctx.http`.

    Attributes:
        allowed_networks: Loopback, link-local or private networks that requests may reach.
        timeout_s: Timeout of a request.
        max_body_bytes: How many bytes of a response's body are read.
        ca_file: Certificate authorities (PEM) to verify servers with, instead of the public ones.
    """

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    timeout_s: Seconds = 30
    max_body_bytes: Annotated[int, Field(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024
    ca_file: Path | None = None
