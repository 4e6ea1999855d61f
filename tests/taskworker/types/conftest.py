"""Fixtures for the tests of the task types; each of the servers is a module of its own."""

from __future__ import annotations

from tests.taskworker.types.certificates import authority
from tests.taskworker.types.email.smtp_server import inbox, start_inbox
from tests.taskworker.types.http.http_server import site

__all__ = ["authority", "inbox", "site", "start_inbox"]
