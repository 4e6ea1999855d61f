"""The schema's chain of migrations."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from harness.ports import free_port
from harness.postgres import as_role, execute_as
from taskcore.__main__ import main
from taskcore.db import migrations
from taskstandalone.postgres.cluster import SUPERUSER


def test_the_schema_goes_up_down_and_up_again_and_agrees_with_the_models(empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url)
    migrations.downgrade(empty_database_url, "base")
    migrations.upgrade(empty_database_url)

    migrations.check(empty_database_url)


def test_two_upgrades_at_once_wait_for_each_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrations.upgrade, [empty_database_url] * 2))

    migrations.check(empty_database_url)


def test_the_installation_may_be_in_a_path_with_a_percent_sign(tmp_path: Path) -> None:
    directory = tmp_path / "feature%2Fx %(here)s"
    shutil.copytree(Path(migrations.__file__).parent, directory)

    script = ScriptDirectory.from_config(migrations.alembic_config(directory))

    assert script.get_current_head() == ScriptDirectory.from_config(migrations.alembic_config()).get_current_head()


def test_a_server_that_refuses_is_reported_at_once_in_one_line(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = make_url(empty_database_url).set(username="stranger", password="hidden")
    monkeypatch.setenv("TASKCORE_DATABASE_URL", strange.render_as_string(hide_password=False))

    assert main(["db", "upgrade", "--wait", "600"]) == 2
    assert re.fullmatch(r'taskcore: the database refuses: .*"stranger".*\n', capsys.readouterr().err)


def test_a_missing_right_is_reported_in_one_line(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute_as(SUPERUSER, empty_database_url, "CREATE ROLE guest LOGIN")
    monkeypatch.setenv("TASKCORE_DATABASE_URL", as_role("guest", empty_database_url))

    assert main(["db", "upgrade"]) == 2
    assert capsys.readouterr().err == "taskcore: the database refuses: permission denied for schema public\n"
    execute_as(SUPERUSER, empty_database_url, "DROP ROLE guest")


def test_a_server_that_does_not_respond_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASKCORE_DATABASE_URL", f"postgresql://127.0.0.1:{free_port()}/tasks")

    assert main(["db", "upgrade"]) == 1
    assert capsys.readouterr().err.startswith("taskcore: the database is unavailable: ")


def test_an_upgrade_waits_for_a_server_that_does_not_respond_yet(empty_database_url: str, tmp_path: Path) -> None:
    url = make_url(empty_database_url)
    sockets = tmp_path / "sockets"
    later = url.update_query_dict({"host": str(sockets)}).render_as_string(hide_password=False)

    def start(_: Exception) -> None:
        sockets.symlink_to(str(url.query["host"]))

    migrations.when_available(lambda: migrations.upgrade(later), wait_s=60, on_wait=start)

    migrations.check(empty_database_url)
