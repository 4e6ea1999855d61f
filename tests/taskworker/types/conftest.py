"""Fixtures for the tests of the task types; each of the servers is a module of its own."""

from __future__ import annotations

from tests.taskworker.types.certificates import authority
from tests.taskworker.types.http_server import site
from tests.taskworker.types.smtp_server import inbox, start_inbox

__all__ = ["authority", "inbox", "site", "start_inbox"]
