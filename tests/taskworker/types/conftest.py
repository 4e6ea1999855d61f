"""Fixtures for the tests of the task types. Each server has its own module."""

from __future__ import annotations

from tests.taskworker.types.certificates import authority
from tests.taskworker.types.http_server import site
from tests.taskworker.types.smtp_server import inbox, start_inbox

__all__ = ["authority", "inbox", "site", "start_inbox"]
