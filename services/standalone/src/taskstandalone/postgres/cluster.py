"""The files of the embedded PostgreSQL: creating them, and who may connect to a server on them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from taskstandalone.postgres import paths
from taskstandalone.postgres.account import Account
from taskstandalone.postgres.paths import PostgresFailed

SUPERUSER = "postgres"

#: initdb insists on running as an account that has a name. It creates files and ends.
NAMED_ACCOUNTS = ("nobody", "daemon")

#: The file that says how a cluster was set up, and its content.
LAYOUT_FILE = "TASKCORE_LAYOUT"
LAYOUT = "roles: postgres, taskcore, queries\n"

LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")  # as everywhere


def require_known_layout(cluster_dir: Path) -> None:
    """Raise `PostgresFailed` for a cluster that was set up by another version of Taskcore."""
    with suppress(FileNotFoundError):
        if (cluster_dir / LAYOUT_FILE).read_text() == LAYOUT:
            return
    raise PostgresFailed(
        f"{cluster_dir} was created by another version of Taskcore, and this version cannot use it. Move "
        f"{cluster_dir.parent} away, or choose another data directory (TASKCORE_DATA_DIR)."
    )


def create_cluster(cluster_dir: Path, account: Account, log_file: Path) -> int:
    """Run initdb. Return its exit code.

    The cluster is created under another name and renamed, so that one that exists is complete. Until then no other
    process can reach it, whatever account runs initdb.
    """
    parent = cluster_dir.with_suffix(".new")
    if parent.exists():
        shutil.rmtree(parent)
    parent.mkdir(mode=0o700)
    new = parent / "cluster"
    creator = named_account(account)
    creator.make_private_directory(new)
    creator.grant_traverse(new)
    command = [str(paths.binaries_dir() / "initdb"), "-D", str(new), "-U", SUPERUSER, "--auth=reject", *LOCALE]
    with log_file.open("ab") as output:
        result = subprocess.run(command, **program_options(creator, output))
    if result.returncode == 0:
        allow_current_user(new)
        (new / LAYOUT_FILE).write_text(LAYOUT)
        account.take_ownership(new)
        new.rename(cluster_dir)
        parent.rmdir()
    return result.returncode


def allow_current_user(cluster_dir: Path) -> None:
    """Let processes of the current user and of root connect as any role, and no other user as any.

    PostgreSQL asks the operating system who is at the other end of the socket.
    """
    users = {pwd.getpwuid(uid).pw_name for uid in (0, os.geteuid()) if _has_name(uid)}
    (cluster_dir / "pg_hba.conf").write_text("local all all peer map=taskcore\n")
    (cluster_dir / "pg_ident.conf").write_text("".join(f'taskcore "{user}" all\n' for user in sorted(users)))


def program_options(account: Account, output: IO[bytes]) -> dict[str, Any]:
    """Return how `subprocess` is to start a program of PostgreSQL."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
    return {**streams, "cwd": "/", "env": paths.environment(), **account.popen_options}


def named_account(account: Account) -> Account:
    """Return an account that initdb agrees to run as. It has a name, and the group of `account`."""
    if account.is_current_user:
        return account
    for name in NAMED_ACCOUNTS:
        with suppress(KeyError):
            return replace(account, uid=pwd.getpwnam(name).pw_uid)
    raise PostgresFailed(
        f"initdb needs an account with a name, and there is none named {' or '.join(NAMED_ACCOUNTS)}. "
        "Start Taskcore as a user other than root."
    )


def _has_name(uid: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False
