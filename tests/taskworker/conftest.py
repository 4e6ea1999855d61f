"""Fixtures for the tests of the worker."""

from __future__ import annotations

from tests.taskcore.conftest import db

__all__ = ["db"]
