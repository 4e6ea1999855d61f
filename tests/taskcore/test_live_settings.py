"""Live settings: overrides are validated like any layer, and processes are notified of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from taskcore.db.engine import async_engine
from taskcore.db.live_settings import remove_override, set_override
from taskcore.errors import InvalidLiveSetting
from taskcore.live_settings import CurrentSettings, SettingsWatcher, is_setting, live_settings
from taskcore.settings import CoordinatorSettings, Layer, RetentionSettings, Settings, layer_of, load_settings
from taskworker.coordinator.database import Database
from tests.taskcore.db.db_harness import DatabaseHarness


def test_live_settings_are_those_that_are_marked() -> None:
    names = set(live_settings())

    assert {"log.level", "coordinator.sweep_every_s", "coordinator.resend_after_s", "retention.types"} <= names
    assert not {"worker.threads", "worker.heartbeat_s", "smtp.password", "database_url"} & names


@pytest.mark.parametrize(
    ("name", "exists"),
    [("worker.threads", True), ("database_url", True), ("worker", False), ("worker.treads", False), ("", False)],
)
def test_static_setting_exists_although_it_is_not_live(name: str, exists: bool) -> None:
    assert is_setting(name) is exists


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coordinator.sweep_every_s", 0),
        ("coordinator.sweep_every_s", "5"),
        ("coordinator.sweep_every_s", True),
        ("coordinator.sweep_every_s", None),
        ("log.level", "loud"),
        ("retention.succeeded_s", -1),
        ("retention.types", {"noop": {"succeded_s": 5}}),
        ("retention.types", {"no op": {}}),
        ("retention.types", {"noop": {"failed_s": 59}}),
        ("retention.succeeded_s", 1e-9),
        ("retention.analytics_s", 60),
        ("coordinator.sweep_every_s", 1e-9),
        ("coordinator.resend_after_s", 0.5),
        ("coordinator.fail_unknown_type_after_s", 1),
        ("alerts.resolve_after_s", 1),
    ],
)
def test_invalid_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidLiveSetting):
        live_settings()[name].apply(Settings(), value)


def test_override_changes_its_setting_only() -> None:
    base = Settings(coordinator=CoordinatorSettings(resend_after_s=7))
    current = CurrentSettings(base)

    current.apply_overrides({"coordinator.sweep_every_s": 5, "retention.types": {"noop": {"failed_s": None}}})

    assert (current.now.coordinator.sweep_every_s, current.now.coordinator.resend_after_s) == (5, 7)
    assert current.now.retention.types["noop"].model_fields_set == {"failed_s"}
    assert current.base is base
    current.apply_overrides({})
    assert current.now == base


def test_invalid_or_unknown_override_is_ignored_and_others_apply() -> None:
    current = CurrentSettings(Settings())

    current.apply_overrides(
        {"coordinator.sweep_every_s": "soon", "no.such": 1, "worker.threads": 3, "log.level": "debug"}
    )

    assert current.now.coordinator.sweep_every_s == Settings().coordinator.sweep_every_s
    assert current.now.worker == Settings().worker
    assert current.now.log.level == "debug"


def test_callback_runs_once_for_each_change() -> None:
    current = CurrentSettings(Settings())
    seen: list[str] = []
    current.on_change(lambda: seen.append(current.now.log.level))

    for overrides in ({"log.level": "debug"}, {"log.level": "debug"}, {"log.level": "info"}, {}):
        current.apply_overrides(overrides)

    assert seen == ["debug", "info"]


def test_layer_of_a_setting_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("coordinator: {sweep_every_s: 3, resend_after_s: 4}\nlog: {level: debug}\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "log__level").write_text("error")
    monkeypatch.setenv("TASKCORE_CONFIG", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("TASKCORE_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.setenv("TASKCORE_COORDINATOR__RESEND_AFTER_S", "5")

    settings = load_settings()

    assert (settings.coordinator.sweep_every_s, settings.coordinator.resend_after_s, settings.log.level) == (
        3,
        5,
        "error",
    )
    assert layer_of("coordinator", "sweep_every_s") is Layer.FILE
    assert layer_of("coordinator", "resend_after_s") is Layer.ENVIRONMENT
    assert layer_of("log", "level") is Layer.SECRET
    assert layer_of("coordinator", "fail_unknown_type_after_s") is Layer.DEFAULT


def test_retention_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCORE_RETENTION__SUCCEEDED_S", "3600")
    monkeypatch.setenv("TASKCORE_RETENTION__TYPES", '{"noop": {"failed_s": null}}')

    assert load_settings().retention == RetentionSettings.model_validate(
        {"succeeded_s": 3600, "types": {"noop": {"failed_s": None}}}
    )


@pytest.fixture
async def watched(database_url: str) -> AsyncIterator[CurrentSettings]:
    current = CurrentSettings(Settings(database_url=SecretStr(database_url)))
    engine = async_engine(database_url, name="tests", pool_size=1)
    watching = asyncio.create_task(SettingsWatcher(current, Database(engine).execute, name="tests").run())
    yield current
    watching.cancel()
    await asyncio.wait([watching])
    await engine.dispose()


async def test_watcher_reads_a_change_on_notify(
    db: DatabaseHarness, database_url: str, watched: CurrentSettings
) -> None:
    changed = asyncio.Event()
    watched.on_change(changed.set)

    db.run(set_override(), setting="log.level", given='"debug"', by="me")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("NOTIFY taskcore_settings")
    await asyncio.wait_for(changed.wait(), 60)

    assert watched.now.log.level == "debug"


async def test_watcher_finds_a_change_without_notify(db: DatabaseHarness, watched: CurrentSettings) -> None:
    changed = asyncio.Event()
    watched.on_change(changed.set)
    db.run(set_override(), setting="log.level", given='"error"', by="me")
    await asyncio.wait_for(changed.wait(), 60)
    changed.clear()

    db.run(remove_override(), setting="log.level")
    await asyncio.wait_for(changed.wait(), 60)

    assert watched.now == watched.base


def test_last_override_of_a_setting_wins(db: DatabaseHarness) -> None:
    for given, by in (('{"noop": {}}', "me"), ("null", "you")):
        db.run(set_override(), setting="retention.types", given=given, by=by)

    (row,) = db.sql("SELECT value, changed_by FROM setting")
    assert tuple(row) == (None, "you")
