"""The schema's chain of migrations."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from taskcore.db import migrations


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


def test_an_unusable_database_is_reported_in_one_line(empty_database_url: str) -> None:
    strange = make_url(empty_database_url).set(username="stranger", password="hidden")
    environment = os.environ | {"TASKCORE_DATABASE_URL": strange.render_as_string(hide_password=False)}

    command = [sys.executable, "-m", "taskcore", "db", "upgrade"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert re.fullmatch(r'taskcore: the database is unavailable: .*"stranger".*\n', ended.stderr), ended.stderr
