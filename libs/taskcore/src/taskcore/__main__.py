"""`taskcore db upgrade`: migrates the database to the schema of this version. Every image has it."""

from __future__ import annotations

import argparse
import sys

from sqlalchemy.exc import OperationalError

from taskcore.db import migrations
from taskcore.errors import TaskcoreError, first_line
from taskcore.settings import load_settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="taskcore", description="Manage Taskcore's database.")
    subjects = parser.add_subparsers(required=True, metavar="db")
    db = subjects.add_parser("db", help="the database's schema").add_subparsers(dest="command", required=True)
    db.add_parser("upgrade", help="migrate to the newest revision, or to --to").add_argument(
        "--to", default="head", metavar="REVISION"
    )
    db.add_parser("downgrade", help="migrate back to --to; the data in newer tables is lost").add_argument(
        "--to", required=True, metavar="REVISION"
    )
    db.add_parser("check", help="compare the database with the models")
    arguments = parser.parse_args()
    try:
        url = load_settings().direct_url
        match arguments.command:
            case "upgrade":
                migrations.upgrade(url, arguments.to)
            case "downgrade":
                migrations.downgrade(url, arguments.to)
            case "check":
                migrations.check(url)
    except TaskcoreError as exc:
        print(f"taskcore: {exc}", file=sys.stderr)
        return 2
    except OperationalError as exc:
        print(f"taskcore: the database is unavailable: {first_line(exc.orig or exc)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
