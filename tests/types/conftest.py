"""Fixtures for the tests of the task types; each of the servers is a module of its own."""

from __future__ import annotations

from tests.types.certificates import authority
from tests.types.http_server import site
from tests.types.smtp_server import inbox, start_inbox

__all__ = ["authority", "inbox", "site", "start_inbox"]
