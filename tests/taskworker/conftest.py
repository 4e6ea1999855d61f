"""Fixtures for the tests of the worker."""

from __future__ import annotations

from tests.taskcore.conftest import stage

__all__ = ["stage"]
