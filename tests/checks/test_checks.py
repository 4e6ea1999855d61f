"""The source checks find what they are for, and nothing in ordinary English."""

from __future__ import annotations

import pytest

from checks import sizes, sql_outside_db, vocabulary
from tests.conftest import SLOW_FILES, SLOW_FOLDERS, SYSTEM_FOLDERS, TESTS


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/a.md", "the nursery died"),
        ("a.py", "class NurseryLost: ..."),
        ("a.py", "nursery_process = 1"),
        ("a.py", '"""Whoever starts it stops it."""'),
        ("values.yaml", "key: 1  # what is not followed"),
        ("a.py", "from b import Holding"),
    ],
)
def test_old_vocabulary_is_found(path: str, text: str) -> None:
    assert len(list(vocabulary.problems({path: text}))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "clients subscribe and describe; years pass",
        "a row, followed by its history",
        "it is followed by another",
        "Holding the GIL",
    ],
)
def test_ordinary_english_is_not_old_vocabulary(text: str) -> None:
    assert not list(vocabulary.problems({"docs/a.md": text}))


@pytest.mark.parametrize(
    "text",
    [
        "from sqlalchemy import Engine, text",
        'QUERY = "SELECT count(*) FROM task WHERE true"',
        'f"DELETE FROM outbox {where}"',
    ],
)
def test_sql_outside_the_database_layer_is_found(text: str) -> None:
    assert len(list(sql_outside_db.problems({"services/api/src/taskapi/a.py": text}))) == 1
    assert not list(sql_outside_db.problems({"libs/taskcore/src/taskcore/db/a.py": text}))


@pytest.mark.parametrize("text", ["from sqlalchemy import Engine", 'NOTE = "taken from tasks"', 'QUERY = "SELECT 1"'])
def test_other_uses_of_the_database_are_allowed(text: str) -> None:
    assert not list(sql_outside_db.problems({"services/api/src/taskapi/a.py": text}))


def test_long_file_and_full_folder_are_found() -> None:
    files = {"a/long.py": "\n" * (sizes.MAX_LINES + 1)}
    folder = {f"b/m{number}.py": "" for number in range(sizes.MAX_MODULES + 1)} | {"b/__init__.py": ""}

    assert len(list(sizes.problems(files | folder))) == 2


def test_slow_files_and_folders_exist() -> None:
    folders = SLOW_FOLDERS | SYSTEM_FOLDERS

    assert [name for name in SLOW_FILES if not (TESTS / name).is_file()] == []
    assert [name for name in folders if not (TESTS / name).is_dir()] == []
