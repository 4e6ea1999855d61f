"""What the account that runs PostgreSQL can access, as file modes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taskstandalone.postgres.account import Account
from taskstandalone.postgres.paths import PostgresFailed

NEITHER_OWNER_NOR_GROUP = Account(uid=65534, gid=65534, is_current_user=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A program that was installed below a private directory with a umask of 077."""
    programs = tmp_path / "private" / "programs"
    programs.mkdir(parents=True)
    (programs / "program").write_text("")
    (programs / "program").chmod(0o700)
    (programs / "data").write_text("")
    (programs / "data").chmod(0o600)
    for directory in (programs, programs.parent):
        directory.chmod(0o700)
    return programs


def test_parent_directories_can_be_traversed_but_not_listed(tree: Path) -> None:
    NEITHER_OWNER_NOR_GROUP.grant_traverse(tree)

    assert permissions(tree.parent) == 0o701
    assert permissions(tree) == 0o700


def test_installed_programs_can_be_read_and_run_but_not_changed(tree: Path) -> None:
    NEITHER_OWNER_NOR_GROUP.grant_read(tree)

    assert [permissions(path) for path in (tree, tree / "program", tree / "data")] == [0o705, 0o705, 0o604]


def test_nothing_changes_for_the_current_user(tree: Path) -> None:
    Account(os.geteuid(), os.getegid(), is_current_user=True).grant_read(tree)

    assert [permissions(path) for path in (tree.parent, tree, tree / "program")] == [0o700, 0o700, 0o700]


def test_a_link_is_refused_as_a_private_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(PostgresFailed):
        Account.for_server().make_private_directory(tmp_path / "link")


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
