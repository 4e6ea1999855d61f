"""The calls about traces."""

from __future__ import annotations

from taskclient.connection import Connection
from taskclient.traces.models import TaskTrace


class TraceCalls:
    """The trace methods of a `Client`."""

    _connection: Connection

    def trace(self, task_id: int) -> TaskTrace:
        """Return the spans of a task. Raise ApiError when it is not sampled, or no trace backend can be queried."""
        return self._connection.get(f"/tasks/{task_id}/trace", TaskTrace)
