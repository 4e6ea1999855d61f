"""What the account that runs PostgreSQL can access, as file modes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from taskstandalone.postgres.account import Account
from taskstandalone.postgres.paths import PostgresFailed

#: Of the group of the files, so that these tests need no right to change groups.
ANOTHER = Account(uid=65534, gid=os.getegid(), is_current_user=False)
STRANGER = Account(uid=65534, gid=65534, is_current_user=False)


@pytest.fixture
def tree() -> Iterator[Path]:
    """A program that was installed below a private directory with a umask of 077.

    It is not below `tmp_path`, since the directories above it are opened too.
    """
    with TemporaryDirectory(prefix="taskcore-test-") as directory:
        yield _install(Path(directory))


def _install(directory: Path) -> Path:
    programs = directory / "private" / "programs"
    programs.mkdir(parents=True)
    (programs / "program").write_text("")
    (programs / "program").chmod(0o700)
    (programs / "data").write_text("")
    (programs / "data").chmod(0o600)
    for directory in (programs, programs.parent):
        directory.chmod(0o700)
    return programs


def test_parent_directories_can_be_traversed_but_not_listed(tree: Path) -> None:
    ANOTHER.grant_traverse(tree)

    assert permissions(tree.parent) == 0o710
    assert permissions(tree) == 0o700


def test_installed_programs_can_be_read_and_run_but_not_changed(tree: Path) -> None:
    ANOTHER.grant_read(tree)

    assert [permissions(path) for path in (tree, tree / "program", tree / "data")] == [0o705, 0o705, 0o604]


def test_a_directory_that_is_shared_with_a_group_is_not_opened_to_everybody(tree: Path) -> None:
    tree.parent.chmod(0o750)

    with pytest.raises(PostgresFailed, match=re.escape(f"may not enter {tree.parent}")):
        STRANGER.grant_traverse(tree)

    assert permissions(tree.parent) == 0o750


def test_nothing_changes_for_the_current_user(tree: Path) -> None:
    Account(os.geteuid(), os.getegid(), is_current_user=True).grant_read(tree)

    assert [permissions(path) for path in (tree.parent, tree, tree / "program")] == [0o700, 0o700, 0o700]


def test_the_server_runs_as_the_owner_of_its_files(tree: Path) -> None:
    """So nothing changes hands under a server that is running, and the owner can start it again."""
    if os.geteuid() == 0:
        os.chown(tree, 1234, 2345)

        assert Account.for_server(tree) == Account(1234, 2345, is_current_user=False)
    else:
        assert Account.for_server(tree) == Account(os.geteuid(), os.getegid(), is_current_user=True)


def test_a_link_is_refused_as_a_private_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(PostgresFailed):
        Account.for_server(tmp_path / "cluster").make_private_directory(tmp_path / "link")


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
