"""An environment for `send_email`, and a message."""

from __future__ import annotations

from typing import Any

from taskcore.settings import Settings, SmtpSettings
from taskcore.testing import AttemptEnvironment
from tests.taskworker.types.smtp_server import Inbox

MESSAGE = {"to": ["ann@example.org"], "subject": "Hello", "body": "How are you?\n"}


def environment(inbox: Inbox, task_id: int = 7, **smtp: Any) -> AttemptEnvironment:
    settings = {"host": "localhost", "port": inbox.port, "sender": "Taskcore <tasks@example.org>", "timeout_s": 20}
    return AttemptEnvironment(task_id=task_id, settings=Settings(smtp=SmtpSettings.model_validate(settings | smtp)))
