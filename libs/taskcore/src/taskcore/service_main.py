"""What every service's program does first: its options, the settings, logging, and an error that stops it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import distribution
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import click
import msgspec

from taskcore.db.pooler_check import check_pooler
from taskcore.errors import TaskcoreError
from taskcore.observability.logging import configure_logging
from taskcore.settings import Settings, load_settings

#: The commit of an image, which is set when it is built.
REVISION_VARIABLE = "IMAGE_REVISION"
PACKAGE = "taskcore"

F = TypeVar("F", bound=Callable[..., Any])

log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Lowest level to log. [default: the setting log.level]",
)


def version_option(command: F) -> F:
    """Add the option `--version`, which shows the version and, where it is known, the commit."""

    def show(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
        if is_wanted:
            click.echo(f"{ctx.find_root().info_name} {describe_version()}")
            ctx.exit()

    text = "Show the version and exit."
    return click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show, help=text)(command)


def describe_version() -> str:
    """Return such as `0.1.0 (commit 1a2b3c4d5e6f)`."""
    version, commit = distribution(PACKAGE).version, _find_commit()
    return f"{version} (commit {commit})" if commit else version


def configure(log_level: str | None = None, *, brings_database: bool = False) -> Settings:
    """Load the settings, configure logging, and check for poolers, unless the program brings its own database.

    `log_level` comes from the command line and wins over `log.level`. Raises what `check_pooler` raises.
    """
    settings = load_settings()
    if log_level is not None:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": log_level})})
    configure_logging(settings.log)
    if not brings_database:
        check_pooler(settings)
    return settings


def run_program(name: str, command: Callable[..., object]) -> int:
    """Run the click `command` as program `name`; a `TaskcoreError` is one line on stderr and exit status 2."""
    try:
        command(prog_name=name)
    except TaskcoreError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 2
    return 0


def _find_commit() -> str:
    """Return the commit of the image, of the repository that pip installed from, or of the checkout; "" if unknown."""
    if revision := os.environ.get(REVISION_VARIABLE):
        return revision
    source: dict[str, Any] = msgspec.json.decode(distribution(PACKAGE).read_text("direct_url.json") or "{}")  # PEP 610
    if commit := source.get("vcs_info", {}).get("commit_id"):
        return str(commit)
    url = urlsplit(source.get("url", ""))
    return _describe_checkout(unquote(url.path)) if url.scheme == "file" else ""


def _describe_checkout(directory: str) -> str:
    command = ["git", "-C", directory, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return ""
