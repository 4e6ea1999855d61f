"""The URL of the database: every spelling that people use, every character, and errors that show no secret."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcore.errors import InvalidSettings
from taskcore.settings import database_parameters, load_settings

PRINTABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(user=PRINTABLE, password=PRINTABLE, database=PRINTABLE, certificate=PRINTABLE)
def test_every_character_survives(user: str, password: str, database: str, certificate: str) -> None:
    user_info = f"{quote(user, safe='')}:{quote(password, safe='')}"
    url = f"postgresql://{user_info}@db/{quote(database, safe='')}?sslrootcert={quote(certificate, safe='')}"

    assert database_parameters(url) == {
        "user": user,
        "password": password,
        "host": "db",
        "dbname": database,
        "sslrootcert": certificate,
    }


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h1:5433,h2:5434/db",
        "postgresql://u:p@/db?host=h1:5433&host=h2:5434",
        "postgresql://u:p@/db?host=h1,h2&port=5433,5434",
        "postgres://u:p@/db?host=h1&host=h2&port=5433&port=5434",
        "postgresql+psycopg://u:p@h1:5433,h2:5434/db",
    ],
)
def test_every_spelling_of_several_hosts_is_understood(url: str) -> None:
    assert database_parameters(url) == {
        "user": "u",
        "password": "p",
        "host": "h1,h2",
        "port": "5433,5434",
        "dbname": "db",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://", {}),
        ("postgresql:///db", {"dbname": "db"}),
        ("postgresql://db.example", {"host": "db.example"}),
        ("postgresql://[::1]:5433/db", {"host": "::1", "port": "5433", "dbname": "db"}),
        ("postgresql:///db?host=fd00::1", {"host": "fd00::1", "dbname": "db"}),
        ("postgresql://%2Fvar%2Frun%2Fmy%20sock/db", {"host": "/var/run/my sock", "dbname": "db"}),
        ("postgresql:///db?host=/var/run/my%20sock", {"host": "/var/run/my sock", "dbname": "db"}),
        (
            "postgresql://u:a+b@h/db?options=-crole%3Da+b",
            {"user": "u", "password": "a+b", "host": "h", "dbname": "db", "options": "-crole=a+b"},
        ),
        ("postgresql://h/?user=me@corp&password=s", {"host": "h", "user": "me@corp", "password": "s"}),
        ("postgresql://tc:p ss@db/my tasks", {"user": "tc", "password": "p ss", "host": "db", "dbname": "my tasks"}),
        ("postgresql://h/db?ssl=true", {"host": "h", "dbname": "db", "sslmode": "require"}),
        (
            "postgresql://h1:5433,h2/db",
            {"host": "h1,h2", "port": "5433,5432", "dbname": "db"},
        ),
    ],
)
def test_parts_may_be_missing_or_special(url: str, expected: dict[str, str]) -> None:
    assert database_parameters(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host=h user=me password=hush dbname=d",
        "mysql://me:hush@h/db",
        "postgresql://me:hush@h:port/db",
        "postgresql://me:hush@h:70000/db",
        "postgresql://me:hush@h:0/db",
        "postgresql://me:hu/sh@h/db",
        "postgresql://me:hu@sh@h/db",
        "postgresql://me:hu:sh/db",
        "postgresql://me:hush@h/db?nosuch=1",
        "postgresql://me:hush@h/db?sslmode",
        "postgresql://me:hush@h/db?sslmode=hush",
        "postgresql://me:hush@h/db?target_session_attrs=hush",
        "postgresql://me:hush@h1,h2,h3/db?port=1,2",
        "postgresql://me:hush%00@h/db",
        "postgresql://me:hush%FF@h/db",
    ],
)
@pytest.mark.parametrize("variable", ["TASKCORE_DATABASE_URL", "TASKCORE_DATABASE_DIRECT_URL"])
def test_an_invalid_url_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    monkeypatch.setenv(variable, url)

    with pytest.raises(InvalidSettings) as caught:
        load_settings()

    assert str(caught.value).startswith(f"{variable}: ")
    assert "hu" not in str(caught.value)


def test_an_unknown_parameter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_URL", "postgresql://h/db?nosuch=1")

    with pytest.raises(InvalidSettings, match="nosuch"):
        load_settings()


def test_a_transaction_pooler_needs_a_url_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_POOLER", "transaction")

    with pytest.raises(InvalidSettings, match=r"TASKCORE_DATABASE_POOLER: .*TASKCORE_DATABASE_DIRECT_URL"):
        load_settings()


def test_every_program_ends_like_this_with_any_other_bad_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_URL", "postgresql://me:hush@h:port/db")

    ended = subprocess.run(
        [sys.executable, "-m", "taskcore", "db", "upgrade"], capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("taskcore: TASKCORE_DATABASE_URL: ")
    assert "hush" not in ended.stderr


def test_an_invalid_url_of_a_database_for_queries_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_DATABASES", '{"shop": {"url": "postgresql://me:hush@h:port/db"}}')

    with pytest.raises(InvalidSettings) as caught:
        load_settings()

    assert str(caught.value).startswith("TASKCORE_DATABASES__SHOP__URL: ")
    assert "hush" not in str(caught.value)
