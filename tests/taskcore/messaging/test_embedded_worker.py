"""An embedded worker goes on, whatever fails in one of its rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.waiting import eventually
from taskcore.embedded_worker import EmbeddedWorker
from taskcore.messaging.brokers import MemoryBroker
from taskcore.plugins import build_plugins
from taskcore.reconnecting_thread import ReconnectingThread
from taskcore.settings import Settings, WorkerSettings
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.messaging.worker_harness import Quick


def test_a_worker_without_a_free_thread_gets_its_signals_later(db: DatabaseHarness) -> None:
    asked: list[int] = []

    def make_signals(worker_id: int, wake: Callable[[], None]) -> Sequence[ReconnectingThread]:
        asked.append(worker_id)
        if len(asked) == 2:
            raise RuntimeError("can't start new thread")
        return []

    settings = Settings(worker=WorkerSettings(heartbeat_s=0.1))
    worker = EmbeddedWorker(settings, db.engine, MemoryBroker(), build_plugins([Quick]), make_signals)
    worker.start()

    db.sql("DELETE FROM worker")  # it was declared dead, and gets another id
    eventually(lambda: len(asked) == 3)
    worker.stop(10)

    first, refused, given = asked
    assert first != refused == given
