"""The schema's chain of migrations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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
