"""`taskcore db upgrade`: migrates the database to the schema of this version. Every image has it.

Exit status 1: the database is unavailable, so a later attempt may succeed. 2: it refuses, or a setting is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from sqlalchemy.exc import DBAPIError, OperationalError

from taskcore.db import migrations
from taskcore.db.migrations.roles import create_roles_and_database
from taskcore.db.pooler_check import check_pooler
from taskcore.errors import InvalidSettings, TaskcoreError, first_line
from taskcore.service_main import version_option
from taskcore.settings import Settings, database_parameters, load_settings


@click.group()
@version_option
def program() -> None:
    """Manage Taskcore's database."""


@program.group()
def db() -> None:
    """Manage the database's schema."""


@db.command()
@click.option("--to", default="head", metavar="REVISION", help="The revision to migrate to. [default: the newest]")
@click.option("--wait", type=float, default=0, metavar="S", help="Wait for a server that does not respond yet.")
def upgrade(to: str, wait: float) -> None:
    """Migrate to a later revision."""
    settings, url = _settings()
    migrations.when_available(lambda: _upgrade(settings, url, to), wait)


@db.command()
@click.option("--to", required=True, metavar="REVISION", help="The revision to migrate to.")
def downgrade(to: str) -> None:
    """Migrate back. The data in newer tables is lost."""
    _, url = _settings()
    migrations.downgrade(url, to)


@db.command()
def check() -> None:
    """Compare the database with the models."""
    _, url = _settings()
    migrations.check(url)


def main(given: Sequence[str] | None = None) -> int:
    try:
        program.main(given, prog_name="taskcore", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        return 130
    except TaskcoreError as exc:
        print(f"taskcore: {exc}", file=sys.stderr)
        return 2
    except DBAPIError as exc:
        is_refusal = migrations.is_refusal(exc)
        if not is_refusal and not isinstance(exc, OperationalError):
            raise
        state = "refuses" if is_refusal else "is unavailable"
        print(f"taskcore: the database {state}: {first_line(exc.orig or exc)}", file=sys.stderr)
        return 2 if is_refusal else 1
    return 0


def _settings() -> tuple[Settings, str]:
    """Return the settings, and the URL by which the schema's owner connects."""
    settings = load_settings()
    if settings.database_admin_url is None:  # otherwise the roles may not exist yet
        check_pooler(settings)
    owner = settings.database_owner_url
    return settings, owner.get_secret_value() if owner else settings.direct_url


def _upgrade(settings: Settings, url: str, revision: str) -> None:
    """Upgrade as the owner, and let the role of the services in. Create both first if an administrator's URL is set."""
    runtime_url = settings.database_url.get_secret_value()
    if settings.database_admin_url is not None:
        for given in (url, runtime_url):
            _role(given)
        create_roles_and_database(settings.database_admin_url.get_secret_value(), url, runtime_url)
    migrations.upgrade(url, revision, _role(runtime_url) if settings.database_owner_url else None)


def _role(url: str) -> str:
    if role := database_parameters(url).get("user"):
        return role
    raise InvalidSettings("TASKCORE_DATABASE_URL and TASKCORE_DATABASE_OWNER_URL must name their roles")


if __name__ == "__main__":
    sys.exit(main())
