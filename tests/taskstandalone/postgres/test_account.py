"""What root hands to the account that runs PostgreSQL, seen in the modes of files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taskstandalone.postgres.account import Account, UnusableDirectory

NEITHER_OWNER_NOR_GROUP = Account(uid=65534, gid=65534, is_current_user=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A program installed below a private directory with a umask of 077."""
    programs = tmp_path / "private" / "programs"
    programs.mkdir(parents=True)
    (programs / "program").write_text("")
    (programs / "program").chmod(0o700)
    (programs / "data").write_text("")
    (programs / "data").chmod(0o600)
    for directory in (programs, programs.parent):
        directory.chmod(0o700)
    return programs


def test_the_way_to_a_directory_can_be_passed_and_not_listed(tree: Path) -> None:
    NEITHER_OWNER_NOR_GROUP.grant_traverse(tree)

    assert mode(tree.parent) == 0o701
    assert mode(tree) == 0o700


def test_installed_programs_can_be_read_and_run_and_not_changed(tree: Path) -> None:
    NEITHER_OWNER_NOR_GROUP.grant_read(tree)

    assert [mode(path) for path in (tree, tree / "program", tree / "data")] == [0o705, 0o705, 0o604]


def test_our_own_account_changes_no_modes(tree: Path) -> None:
    Account(os.geteuid(), os.getegid(), is_current_user=True).grant_read(tree)

    assert [mode(path) for path in (tree.parent, tree, tree / "program")] == [0o700, 0o700, 0o700]


def test_a_private_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(UnusableDirectory):
        Account.for_server().make_private_directory(tmp_path / "link")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
