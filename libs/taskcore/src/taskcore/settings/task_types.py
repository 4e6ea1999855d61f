"""Settings of the task types that ship: what they may reach, and how."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from taskcore.settings.field_types import Port, Seconds, Section


class SmtpSettings(Section):
    """The mail server of `send_email`."""

    host: str = "127.0.0.1"
    """Name or address of the server."""
    port: Port = 25
    """Port of the server."""
    tls: Literal["none", "starttls", "tls"] = "none"
    """`tls` encrypts from the start, `starttls` after a command."""
    username: str | None = None
    """Without one there is no login."""
    password: SecretStr | None = None
    """Password of `username`."""
    sender: str = "taskcore@localhost"
    """The `From` address of mails."""
    timeout_s: Seconds = 30
    """Timeout of each step."""
    ca_file: Path | None = None
    """Certificate authorities (PEM) to verify the server with, instead of the system's."""


class DatabaseSettings(Section):
    """A database that `run_query` may use, by its name under `databases`."""

    url: SecretStr
    """`postgresql://…`"""
    read_only: bool = True
    """Whether queries are kept from changing data. Functions that act outside of a transaction (`pg_terminate_backend`,
    `lo_export`, `dblink`) are not: the URL should name a role without rights to them.
    """
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """How many rows a result may have."""
    timeout_s: Seconds = 300
    """Timeout of a query."""


class CommandSettings(Section):
    """A command that `run_command` may run, by its name under `commands`."""

    argv: Annotated[tuple[str, ...], Field(min_length=1)]
    """The program and its fixed arguments."""
    max_arguments: Annotated[int, Field(ge=0, le=100)] = 0
    """How many arguments a task may add. They may be options, unless `argv` ends with `--`."""
    stdin: bool = False
    """Whether a task may provide standard input."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables beside `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`, which are all that the command
    inherits from the worker.
    """
    cwd: Path | None = None
    """Working directory."""
    timeout_s: Seconds | None = None
    """Timeout of the command."""
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    """Limit of the address space of each of its processes."""


class HttpSettings(Section):
    """The HTTP client of `http_request` and of `ctx.http`."""

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Loopback, link-local or private networks that requests may reach."""
    timeout_s: Seconds = 30
    """Timeout of a request."""
    max_body_bytes: Annotated[int, Field(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024
    """How many bytes of a response's body are read."""
    ca_file: Path | None = None
    """Certificate authorities (PEM) to verify servers with, instead of the public ones."""
