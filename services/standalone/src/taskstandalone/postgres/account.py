"""The user account that the embedded PostgreSQL runs as, and its access to files.

PostgreSQL refuses to run as root. For root, the server gets a user id that no account of the machine has, so that no
other program has a right to its files, its socket or its processes. For any other user, the server runs as that user,
and the functions here change nothing.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskstandalone.postgres.paths import PostgresFailed

#: Ids that neither distributions nor systemd give to accounts: https://systemd.io/UIDS-GIDS/
RESERVED_IDS = range(65520, 65534)


@dataclass(frozen=True)
class Account:
    """The account that runs the server. If it `is_current_user`, no file has to change hands."""

    uid: int
    gid: int
    is_current_user: bool

    @classmethod
    def for_server(cls, cluster_dir: Path) -> Account:
        """Return the current user. For root, return the owner of an existing cluster, or else an id without an account.

        Raises `PostgresFailed` when the cluster belongs to another user than the current one.
        """
        owner = cluster_dir.stat() if cluster_dir.exists() else None
        if os.geteuid() == 0:
            if owner is not None and owner.st_uid != 0:
                return cls(owner.st_uid, owner.st_gid, is_current_user=False)
            unused = _unused_id()
            return cls(unused, unused, is_current_user=False)
        if owner is not None and owner.st_uid != os.geteuid():
            raise PostgresFailed(
                f"{cluster_dir} belongs to uid {owner.st_uid}, but this is uid {os.geteuid()}. Start Taskcore as the "
                "user who started it first, or choose another data directory (TASKCORE_DATA_DIR)."
            )
        return cls(os.geteuid(), os.getegid(), is_current_user=True)

    @property
    def popen_options(self) -> dict[str, Any]:
        """The arguments that make `subprocess.Popen` run a program as this account."""
        return {} if self.is_current_user else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def make_private_directory(self, directory: Path) -> None:
        """Create a directory that only this account can use, or check that the existing one belongs to it.

        Raises `PostgresFailed` when it is a link, a file, or owned by another account.
        """
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (self.uid, os.geteuid()):
            raise PostgresFailed(
                f"{directory} has to be a directory of uid {self.uid}, but it is a link, a file or owned by uid "
                f"{status.st_uid}. Remove it if you know where it comes from."
            )
        directory.chmod(0o700)
        self.take_ownership(directory)

    def take_ownership(self, tree: Path) -> None:
        """Recursively chown `tree` to this account, unless it owns it already.

        Only for a tree that no other account can write to, and that no server uses.
        """
        if self.is_current_user or tree.lstat().st_uid == self.uid:
            return
        for path in [*tree.rglob("*"), tree]:  # the root last: once it has a new owner, everything else has too
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def grant_traverse(self, path: Path) -> None:
        """Let this account, and no other, pass through the directories above `path`.

        A private directory gets the account's group, with the right to reach entries by name; to list them takes more.
        Raises `PostgresFailed` for a directory that is shared with another group.
        """
        if not self.is_current_user:
            for directory in path.resolve().parents:
                self._open(directory)

    def grant_read(self, tree: Path) -> None:
        """Let this account read and run installed programs, which may have been installed with a umask of 077."""
        if not self.is_current_user:
            self.grant_traverse(tree)
            for path in [tree, *(path for path in tree.rglob("*") if not path.is_symlink())]:
                mode = path.stat().st_mode
                wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
                if mode & wanted != wanted:
                    path.chmod(stat.S_IMODE(mode) | wanted)

    def _open(self, directory: Path) -> None:
        status = directory.stat()
        if status.st_mode & self._execute_bit(status):
            return
        if status.st_uid != self.uid and status.st_mode & stat.S_IRWXG:
            raise PostgresFailed(
                f"uid {self.uid}, which runs PostgreSQL for root, may not enter {directory}. Start Taskcore as the "
                "user who owns that directory, or let everybody enter it: `chmod o+x`."
            )
        if status.st_uid != self.uid and status.st_gid != self.gid:
            os.chown(directory, -1, self.gid)
        directory.chmod(stat.S_IMODE(status.st_mode) | self._execute_bit(directory.stat()))

    def _execute_bit(self, status: os.stat_result) -> int:
        """Return the bit that decides whether this account may enter a directory."""
        if status.st_uid == self.uid:
            return stat.S_IXUSR
        return stat.S_IXGRP if status.st_gid == self.gid else stat.S_IXOTH


def _unused_id() -> int:
    """Return the first reserved id that neither a user nor a group has. Raises `PostgresFailed` when there is none."""
    used = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    for candidate in RESERVED_IDS:
        if candidate not in used:
            return candidate
    raise PostgresFailed(
        f"PostgreSQL refuses to run as root, and accounts have all user ids that it could get, {RESERVED_IDS.start} to "
        f"{RESERVED_IDS.stop - 1}. Start Taskcore as a user other than root."
    )
