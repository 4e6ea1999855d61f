"""The calls about traces."""

from __future__ import annotations

from taskclient.connection import Call, Connection
from taskclient.traces.models import TaskTrace


class TraceCalls:
    """Those of a `Client`."""

    _connection: Connection

    def trace(self, task_id: int) -> TaskTrace:
        """What was done for a task, span by span. Refused where it is not followed, or no viewer can be asked."""
        return self._connection.request(Call("GET", f"/tasks/{task_id}/trace"), TaskTrace)
