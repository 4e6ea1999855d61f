"""The buffer holds no more than its capacity."""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import cycle

from collector_k8s.ingest.buffer import EventBuffer, Stopped
from harness.waiting import eventually
from tests.collector_k8s.sample_events import event, items


def test_a_full_buffer_blocks_the_reader() -> None:
    stopped, ended = threading.Event(), threading.Event()
    buffer = EventBuffer(2, stopped)

    def put() -> None:
        with suppress(Stopped):
            for item in cycle(items(event("a"))):
                buffer.put(item)
        ended.set()

    reader = threading.Thread(target=put)
    reader.start()

    eventually(lambda: len(buffer.take(1)) == 1)
    assert len(buffer.take(100)) <= 3
    stopped.set()
    reader.join()
    assert ended.is_set()
