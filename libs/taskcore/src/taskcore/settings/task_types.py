"""Settings of the task types that ship: what they may reach, and how."""

from __future__ import annotations

import re
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from taskcore.domain.tasks import MAX_TASK_BYTES
from taskcore.settings.database_url import DatabaseUrl
from taskcore.settings.field_types import Port, Seconds, Section

#: An address in which `*` stands for any characters, and `?` for one. Upper and lower case are the same.
AddressPattern = Annotated[str, Field(min_length=1, max_length=254)]


def _check_mailbox(text: str) -> str:
    address = parseaddr(text)[1]
    if not text.isprintable() or not re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", address):
        raise PydanticCustomError("mailbox", "is no address such as `Taskcore <taskcore@example.com>`")
    return text


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
    sender: Annotated[str, AfterValidator(_check_mailbox)] = "taskcore@localhost"
    """The `From` address of mails, such as `Taskcore <taskcore@example.com>`."""
    allowed_senders: tuple[AddressPattern, ...] = ()
    """Addresses that a task may send from instead, such as `*@example.com`."""
    allowed_recipients: tuple[AddressPattern, ...] = ("*",)
    """Addresses that mails may go to, such as `*@example.com`. By default any: every caller that may submit
    tasks can then send mail to any address.
    """
    timeout_s: Seconds = 30
    """Timeout of each step."""
    ca_file: Path | None = None
    """Certificate authorities (PEM) to verify the server with, instead of the system's."""


class DatabaseSettings(Section):
    """A database that `run_query` may use, by its name under `databases`."""

    url: DatabaseUrl
    """`postgresql://…`, written as [docs/postgresql.md](postgresql.md) describes."""
    read_only: bool = True
    """Whether queries are kept from changing data. Functions that act outside of a transaction (`pg_terminate_backend`,
    `dblink`) are not: the URL should name a role without rights to them.
    """
    allow_privileged_role: bool = False
    """Whether a read-only database may have a role that can use the server's files or programs, or replicate. Every
    submitter of tasks then can, too.
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


#: Where clouds give a machine its metadata and credentials: AWS, Google, Azure, Oracle and others (169.254.169.254),
#: AWS over IPv6, ECS, EKS, Google over IPv6, Azure's WireServer, Oracle, Alibaba, Scaleway and Tencent.
METADATA_ADDRESSES = tuple(
    ip_network(address)
    for address in (
        "169.254.169.254",
        "fd00:ec2::254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::23",
        "fd20:ce::254",
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "169.254.42.42",
        "fd00:42::42",
        "169.254.0.23",
    )
)


class HttpSettings(Section):
    """The HTTP client of `http_request` and of `ctx.http`."""

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Loopback, link-local or private networks that requests may reach."""
    denied_networks: tuple[IPv4Network | IPv6Network, ...] = METADATA_ADDRESSES
    """Networks that requests may not reach, even if they are public or in `allowed_networks`: by default the addresses
    at which clouds give out a machine's credentials.
    """
    timeout_s: Seconds = 30
    """Timeout of a request."""
    max_body_bytes: Annotated[int, Field(ge=1, le=MAX_TASK_BYTES)] = MAX_TASK_BYTES
    """How many bytes of a response's body are read. A result, with headers and escapes, can hold no more than 1 MiB."""
    ca_file: Path | None = None
    """Certificate authorities (PEM) to verify servers with, instead of the public ones."""
