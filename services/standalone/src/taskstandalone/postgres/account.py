"""The user account that the embedded PostgreSQL runs as, and its access to files.

PostgreSQL refuses to run as root. For root, the server gets an unprivileged account, which owns the cluster and nothing
else. For any other user, the server runs as that user, and the functions here change nothing.
"""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskstandalone.postgres.paths import PostgresFailed

UNPRIVILEGED_USERS = ("nobody", "daemon")


@dataclass(frozen=True)
class Account:
    """The account that runs the server. If it `is_current_user`, no file has to change hands."""

    uid: int
    gid: int
    is_current_user: bool

    @classmethod
    def for_server(cls) -> Account:
        """Return the current user, or for root the first unprivileged account of this machine.

        Raises `PostgresFailed` when there is none.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), is_current_user=True)
        for name in UNPRIVILEGED_USERS:
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid, is_current_user=False)
        raise PostgresFailed(
            f"PostgreSQL refuses to run as root, and there is no account named {' or '.join(UNPRIVILEGED_USERS)}. "
            "Start Taskcore as a user other than root."
        )

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
        """Recursively chown `tree` to this account, unless it owns it already."""
        if self.is_current_user or tree.lstat().st_uid == self.uid:
            return
        for path in [*tree.rglob("*"), tree]:  # the root last: once it has a new owner, everything else has too
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def grant_traverse(self, path: Path) -> None:
        """Let this account traverse the directories above `path`, by adding `x` where it is missing.

        The account can then reach entries by name; it cannot list the directories.
        """
        if not self.is_current_user:
            for directory in path.resolve().parents:
                self._grant(directory, execute=True)

    def grant_read(self, tree: Path) -> None:
        """Let this account read and run installed programs, which may have been installed with a umask of 077."""
        if not self.is_current_user:
            self.grant_traverse(tree)
            for path in [tree, *(path for path in tree.rglob("*") if not path.is_symlink())]:
                self._grant(path, read=True, execute=bool(path.stat().st_mode & stat.S_IXUSR))

    def _grant(self, path: Path, *, read: bool = False, execute: bool = False) -> None:
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        wanted = (read * stat.S_IROTH | execute * stat.S_IXOTH) << shift
        if status.st_mode & wanted == wanted:
            return
        try:
            path.chmod(stat.S_IMODE(status.st_mode) | wanted)
        except OSError as exc:
            raise PostgresFailed(f"uid {self.uid}, which runs PostgreSQL, cannot reach {path}: {exc}") from exc
