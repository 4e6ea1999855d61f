"""`taskcore db upgrade`: migrates the database to the schema of this version. Every image has it.

Exit status 1: the database is unavailable, so a later attempt may succeed. 2: it refuses, or a setting is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError, OperationalError

from taskcore.db import migrations
from taskcore.db.migrations.roles import create_roles_and_database
from taskcore.db.pooler_check import check_pooler
from taskcore.errors import InvalidSettings, TaskcoreError, first_line
from taskcore.settings import Settings, database_parameters, load_settings


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="taskcore", description="Manage Taskcore's database.")
    subjects = parser.add_subparsers(required=True, metavar="db")
    db = subjects.add_parser("db", help="the database's schema").add_subparsers(dest="command", required=True)
    upgrade = db.add_parser("upgrade", help="migrate to the newest revision, or to --to")
    upgrade.add_argument("--to", default="head", metavar="REVISION")
    upgrade.add_argument(
        "--wait", type=float, default=0, metavar="S", help="wait for a server that does not respond yet"
    )
    db.add_parser("downgrade", help="migrate back to --to; the data in newer tables is lost").add_argument(
        "--to", required=True, metavar="REVISION"
    )
    db.add_parser("check", help="compare the database with the models")
    arguments = parser.parse_args(given)
    try:
        settings = load_settings()
        check_pooler(settings)
        owner = settings.database_owner_url
        url = owner.get_secret_value() if owner else settings.direct_url
        match arguments.command:
            case "upgrade":
                migrations.when_available(lambda: _upgrade(settings, url, arguments.to), arguments.wait)
            case "downgrade":
                migrations.downgrade(url, arguments.to)
            case "check":
                migrations.check(url)
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
