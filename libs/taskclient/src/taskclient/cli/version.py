"""The option `--version`."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from importlib.metadata import distribution
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import msgspec

PACKAGE = "taskclient"


def version_option() -> click.Option:
    """Return an option that shows the version and, where it is known, the commit."""
    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show,
        help="Show the version and exit.",
    )


def _show(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        click.echo(f"{ctx.find_root().info_name} {describe_version()}")
        ctx.exit()


def describe_version() -> str:
    """Return such as `0.1.0 (commit 1a2b3c4d5e6f)`."""
    version, commit = distribution(PACKAGE).version, _find_commit()
    return f"{version} (commit {commit})" if commit else version


def _find_commit() -> str:
    """Return the commit of the repository that pip installed from, or of the checkout; "" if unknown."""
    source: dict[str, Any] = msgspec.json.decode(distribution(PACKAGE).read_text("direct_url.json") or "{}")  # PEP 610
    if commit := source.get("vcs_info", {}).get("commit_id"):
        return str(commit)
    url = urlsplit(source.get("url", ""))
    command = ["git", "-C", unquote(url.path), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"]
    with suppress(OSError, subprocess.SubprocessError):
        if url.scheme == "file":
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return ""
