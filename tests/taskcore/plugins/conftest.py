"""Fixtures for the tests of what plugins use."""

from __future__ import annotations

from tests.taskworker.types.http_server import site

__all__ = ["site"]
