"""A collector that runs in a thread, and what it has stored."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from collector_k8s.process import new_status, run
from taskcore.settings import KubernetesSettings, Settings
from tests.collector_k8s.fakes.event_json import Event

FAST_SETTINGS = {"bookmark_interval_s": 5.0}


def collector_settings(database_url: str, **kubernetes: Any) -> Settings:
    return Settings(database_url=SecretStr(database_url), kubernetes=KubernetesSettings(**FAST_SETTINGS | kubernetes))


class CollectorThread:
    """Starts at once, and stops at the end of a `with` statement."""

    def __init__(self, settings: Settings) -> None:
        self.status = new_status(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=run, args=(settings, self._stop, self.status))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


class StoredEvents:
    """The events, cursors and gaps in the database."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def sql(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(self._url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def names(self) -> list[str]:
        """Return the names of the involved objects, sorted, one for each version."""
        return [row["name"] for row in self.sql("SELECT name FROM k8s_event ORDER BY name, id")]

    def versions(self) -> set[str]:
        """Return all resource versions, and assert that none is stored twice."""
        versions = [row["resource_version"] for row in self.sql("SELECT resource_version FROM k8s_event")]
        assert len(versions) == len(set(versions))
        return set(versions)

    def has_all(self, events: Iterable[Event]) -> bool:
        """Return whether all versions of `events` are stored, and assert that none is stored twice."""
        return versions_of(events) <= self.versions()

    def position(self, scope: str = "") -> int:
        rows = self.sql("SELECT resource_version FROM k8s_cursor WHERE scope = %s", scope)
        return int(rows[0]["resource_version"]) if rows else 0

    def gaps(self) -> list[dict[str, Any]]:
        return self.sql("SELECT * FROM k8s_gap ORDER BY id")


def versions_of(events: Iterable[Event]) -> set[str]:
    return {event["metadata"]["resourceVersion"] for event in events}
